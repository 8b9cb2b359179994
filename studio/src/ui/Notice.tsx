import type { ReactNode } from "react";

/** Where there is nothing to show: why, and what to do next. */
export function Notice({ title, children, alert = false }: { title: string; children?: ReactNode; alert?: boolean }) {
  return (
    <section className="notice" role={alert ? "alert" : undefined}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
