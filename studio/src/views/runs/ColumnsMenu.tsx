import { useEffect, useRef } from "react";
import { columnsText } from "../../lib/listing";
import { Icon } from "../../ui/Icon";

interface Props {
  columns: readonly string[];
  options: readonly string[];
  onChange: (text: string | null) => void;
}

/** Which metrics and config values the table has columns for. */
export function ColumnsMenu({ columns, options, onChange }: Props) {
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const details = menu.current;
      if (!details?.open) return;
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !details.contains(event.target as Node)) {
        details.open = false;
        if (event instanceof KeyboardEvent) details.querySelector("summary")?.focus();
      }
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close);
    };
  }, []);
  const all = [...new Set([...options, ...columns])];
  if (!all.length) return null;
  const toggle = (name: string) =>
    onChange(columnsText(columns.includes(name) ? columns.filter((each) => each !== name) : [...columns, name]));
  return (
    <details className="menu" ref={menu}>
      <summary className="button">
        <Icon name="columns" /> Columns
      </summary>
      <fieldset className="menu-body">
        <legend className="sr">Columns to show</legend>
        {all.map((name) => (
          <label key={name}>
            <input type="checkbox" checked={columns.includes(name)} onChange={() => toggle(name)} />
            <span>{name}</span>
          </label>
        ))}
        <button type="button" className="button" onClick={() => onChange(null)}>
          Choose for me
        </button>
      </fieldset>
    </details>
  );
}
