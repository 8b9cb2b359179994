import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { describe, expect, it } from "vitest";
import { outdated } from "./outdated";

const patiently = { timeout: 60_000 };

describe("what is old", patiently, () => {
  it("is read again, also where it was being read for the first time", async () => {
    const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity, networkMode: "always" } } });
    const answers: ((value: string) => void)[] = [];
    const watch = new QueryObserver(client, {
      queryKey: ["run", "r", "calls"],
      queryFn: () => new Promise<string>((answer) => answers.push(answer)),
    });
    const stop = watch.subscribe(() => undefined);
    outdated(client, ["run", "r"]); // the server has read it already, and has not answered yet
    answers[0]?.("before the change");
    await expect.poll(() => answers.length, patiently).toBe(2);
    answers[1]?.("after it");
    await expect.poll(() => watch.getCurrentResult().data, patiently).toBe("after it");
    outdated(client, ["run", "r"]);
    await expect.poll(() => answers.length, patiently).toBe(3);
    stop();
    client.clear();
  });
  it("is only what the key names", async () => {
    const client = new QueryClient();
    client.setQueryData(["run", "a", "calls"], 1);
    client.setQueryData(["run", "b", "calls"], 1);
    outdated(client, ["run", "a"]);
    expect(client.getQueryState(["run", "a", "calls"])?.isInvalidated).toBe(true);
    expect(client.getQueryState(["run", "b", "calls"])?.isInvalidated).toBe(false);
    client.clear();
  });
});
