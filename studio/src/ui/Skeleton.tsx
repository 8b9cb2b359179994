/** The shape of what is being read. */
export function Skeleton({ rows = 6, what = "Loading" }: { rows?: number; what?: string }) {
  return (
    <div className="skeleton" role="status" aria-label={what}>
      {Array.from({ length: rows }, (_, i) => (
        <span key={i} className="bone" />
      ))}
    </div>
  );
}
