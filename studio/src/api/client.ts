/** Requests to the server, typed by its own description (schema.d.ts). */

import { connection } from "../live/connection";
import { Refused, Unreachable } from "./errors";
import type { paths } from "./schema";

type Gettable = { [P in keyof paths]: paths[P] extends { get: object } ? P : never }[keyof paths];
type Operation<P extends Gettable> = paths[P] extends { get: infer O } ? O : never;
type Parameters<P extends Gettable> = Operation<P> extends { parameters: infer Q } ? Q : never;
export type Answer<P extends Gettable> =
  Operation<P> extends { responses: { 200: { content: { "application/json": infer A } } } } ? A : never;

interface Options<P extends Gettable> {
  path?: Parameters<P> extends { path: infer Q } ? Q : never;
  query?: Parameters<P> extends { query?: infer Q } ? Q : never;
  signal?: AbortSignal;
}

export async function get<P extends Gettable>(template: P, options: Options<P> = {}): Promise<Answer<P>> {
  const { path, query, signal } = options;
  const response = await ask(address(template, path as Values, query as Values), signal ? { signal } : {});
  return (await response.json()) as Answer<P>;
}

type Values = Record<string, unknown> | undefined;

export function address(template: string, path?: Values, query?: Values): string {
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path?.[name])));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {}))
    for (const each of Array.isArray(value) ? value : [value])
      if (each !== undefined && each !== null) search.append(name, String(each));
  const text = search.toString();
  return text ? `${filled}?${text}` : filled;
}

/** An answer that is good; everything else is thrown.  The connection's state is told of both. */
export async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin", cache: "no-store", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    connection.failed();
    throw new Unreachable(error);
  }
  if ([502, 503, 504].includes(response.status)) {
    connection.failed();
    throw new Unreachable(response.status);
  }
  connection.answered(response.headers.get("X-Tellurio-Version"));
  if (response.ok) return response;
  const refused = await refusal(response);
  if (refused.status === 401) connection.signedOut();
  throw refused;
}

async function refusal(response: Response): Promise<Refused> {
  const id = response.headers.get("X-Request-ID");
  const plain = `The server answered with status ${response.status}.`;
  try {
    const body = (await response.json()) as { error?: { message?: unknown } };
    const message = body.error?.message;
    return new Refused(response.status, typeof message === "string" ? message : plain, id);
  } catch {
    return new Refused(response.status, plain, id);
  }
}
