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
  it("is shown while changes come faster than answers, and once more after the last", async () => {
    const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity, networkMode: "always" } } });
    const answers: ((value: string) => void)[] = [];
    const shown: unknown[] = [];
    const watch = new QueryObserver(client, {
      queryKey: ["run", "r"],
      queryFn: () => new Promise<string>((answer) => answers.push(answer)),
    });
    const stop = watch.subscribe((result) => shown.push(result.data));
    answers[0]?.("first");
    await expect.poll(() => shown.at(-1), patiently).toBe("first");
    outdated(client, ["run"]);
    await expect.poll(() => answers.length, patiently).toBe(2);
    for (let hint = 0; hint < 5; hint++) outdated(client, ["run", "r"]);
    answers[1]?.("second");
    await expect.poll(() => shown.at(-1), patiently).toBe("second");
    await expect.poll(() => answers.length, patiently).toBe(3);
    answers[2]?.("third");
    await expect.poll(() => shown.at(-1), patiently).toBe("third");
    expect(answers.length).toBe(3);
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
