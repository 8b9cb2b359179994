import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useRef } from "react";
import { Unreachable } from "./api/errors";
import { usePath } from "./lib/location";
import { routeOf } from "./lib/route";
import { useStore } from "./lib/store";
import { connection } from "./live/connection";
import { outdated } from "./live/outdated";
import { Banner } from "./ui/Banner";
import { ErrorBoundary } from "./ui/ErrorBoundary";
import { Header } from "./ui/Header";
import { Skeleton } from "./ui/Skeleton";
import { Projects } from "./views/Projects";
import { Runs } from "./views/Runs";
import { SignIn } from "./views/SignIn";
import { Unknown } from "./views/Unknown";

const RunView = lazy(() => import("./views/RunView").then(({ RunView: view }) => ({ default: view })));

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // The server says when something is old; what was not watched for a while is read again.
      staleTime: 10_000,
      networkMode: "always",
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      // Where the server is away, the connection says when to try again.
      retry: (times, error) => !(error instanceof Unreachable) && isFault(error) && times < 2,
    },
  },
});

connection.onReturn(() => outdated(client));

export function App() {
  return (
    <QueryClientProvider client={client}>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Header />
      <Banner />
      <Main />
    </QueryClientProvider>
  );
}

function Main() {
  const path = usePath();
  const state = useStore(connection.state);
  const main = useRef<HTMLElement>(null);
  const route = routeOf(path);
  const place = route.view === "run" ? `${route.ns}/${route.project}/${route.run}` : path;
  const first = useRef(place);
  useEffect(() => {
    if (first.current === place) return;
    first.current = place;
    main.current?.focus({ preventScroll: true }); // so that the keyboard and screen readers begin at the new view
  }, [place]);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      {state === "signed-out" ? <SignIn route={route} /> : (
        <ErrorBoundary key={place}>
          <View route={route} />
        </ErrorBoundary>
      )}
    </main>
  );
}

function View({ route }: { route: ReturnType<typeof routeOf> }) {
  switch (route.view) {
    case "projects":
      return <Projects />;
    case "runs":
      return <Runs key={`${route.ns}/${route.project}`} ns={route.ns} project={route.project} />;
    case "run":
      return (
        <Suspense fallback={<Skeleton />}>
          <RunView key={`${route.ns}/${route.project}/${route.run}`} {...route} />
        </Suspense>
      );
    case "unknown":
      return <Unknown />;
  }
}

function isFault(error: unknown): boolean {
  return error instanceof Error && "status" in error && (error.status === 429 || Number(error.status) >= 500);
}
