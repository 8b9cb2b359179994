import { plural } from "../../lib/format";
import { textOf } from "../../lib/prompts";

interface Gradient {
  text: string;
  samples: string[];
}

/** What the feedback was that led to a version, and what the optimizer made of it. */
export function Gradients({ gradients, reasoning, initial }: { gradients: readonly unknown[]; reasoning: string; initial: boolean }) {
  const read = gradients.map(gradientOf);
  return (
    <section className="gradients" aria-label="What led to it">
      <h3>
        Gradients <span className="muted">{read.length > 0 && plural(read.length, "text")}</span>
      </h3>
      {read.length === 0 && <p className="muted">{initial ? "Training began with this version." : "No feedback was recorded."}</p>}
      {read.map(({ text, samples }, i) => (
        <blockquote key={i} className="gradient">
          <pre className="text">{text}</pre>
          {samples.length > 0 && (
            <footer className="muted">
              from {samples.length === 1 ? "sample" : "samples"} {samples.join(", ")}
            </footer>
          )}
        </blockquote>
      ))}
      {reasoning && (
        <>
          <h3>The optimizer's reasoning</h3>
          <pre className="text reasoning">{reasoning}</pre>
        </>
      )}
    </section>
  );
}

function gradientOf(raw: unknown): Gradient {
  if (typeof raw !== "object" || raw === null || !("text" in raw)) return { text: textOf(raw), samples: [] };
  const samples = "samples" in raw && Array.isArray(raw.samples) ? raw.samples.map(String) : [];
  return { text: textOf(raw.text), samples };
}
