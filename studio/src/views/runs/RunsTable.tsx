import { createColumnHelper, tableFeatures, useTable } from "@tanstack/react-table";
import { useMemo } from "react";
import type { ListedRun } from "../../api/types";
import { type Sort, sortedBy } from "../../lib/listing";
import { navigate } from "../../lib/location";
import { runPath } from "../../lib/route";
import { Icon } from "../../ui/Icon";
import { KindTag } from "../../ui/KindTag";
import { Link } from "../../ui/Link";
import { columnOf, FIXED, type RunColumn } from "./columns";
import { useRows } from "./useRows";

export interface RunsShown {
  ns: string;
  project: string;
  runs: readonly ListedRun[];
  total: number;
  columns: readonly string[];
  sort: Sort;
  more: () => void;
}

const features = tableFeatures({});
const helper = createColumnHelper<typeof features, ListedRun>();
const ROW = 37;
const NAME: RunColumn = { id: "name", title: "Run", width: 270, numeric: false, sort: "name", cell: (run) => run.name };

export function RunsTable({ ns, project, runs, total, columns, sort, more, onSort }: RunsShown & { onSort: (sort: Sort) => void }) {
  const shown = useMemo(() => [NAME, ...FIXED, ...columns.map(columnOf)], [columns]);
  const table = useTable({
    features,
    data: runs as ListedRun[],
    columns: useMemo(
      () => helper.columns(shown.map((column) => helper.display({ id: column.id, header: column.title, cell: ({ row }) => column.cell(row.original) }))),
      [shown],
    ),
    getRowId: (run) => run.id,
  });
  const rows = table.getRowModel().rows;
  const { scroller, items, before, after, onKeyDown, setActive, tabStop } = useRows({ count: rows.length, height: ROW, more });
  const width = shown.reduce((sum, column) => sum + column.width, 0);
  return (
    <div className="scroller" ref={scroller}>
      <table className="grid" style={{ minWidth: width }} aria-rowcount={total + 1} data-known={rows.length}>
        <caption className="sr">Runs of this project. Arrow keys lead from Run to Run, Enter opens one.</caption>
        <colgroup>
          {shown.map((column) => (
            <col key={column.id} style={{ width: column.width }} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {shown.map((column) => (
              <Head key={column.id} column={column} sort={sort} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody onKeyDown={onKeyDown}>
          {before > 0 && <Space height={before} columns={shown.length} />}
          {items.map(({ index }) => {
            const row = rows[index];
            if (!row) return null;
            const path = runPath(ns, project, row.original.slug);
            return (
              <tr key={row.id} data-index={index} aria-rowindex={index + 2} onClick={(event) => open(event, path)}>
                {row.getAllCells().map((cell, place) => {
                  const column = shown[place] as RunColumn;
                  if (place > 0)
                    return (
                      <td key={cell.id} className={column.numeric ? "number" : undefined}>
                        <table.FlexRender cell={cell} />
                      </td>
                    );
                  return (
                    <th key={cell.id} scope="row">
                      <Link to={path} data-row-link tabIndex={index === tabStop ? 0 : -1} onFocus={() => setActive(index)}>
                        {row.original.name}
                      </Link>
                      <KindTag kind={row.original.kind} />
                      {row.original.tags.map((tag) => (
                        <span key={tag} className="tag">
                          {tag}
                        </span>
                      ))}
                    </th>
                  );
                })}
              </tr>
            );
          })}
          {after > 0 && <Space height={after} columns={shown.length} />}
        </tbody>
      </table>
    </div>
  );
}

function Head({ column, sort, onSort }: { column: RunColumn; sort: Sort; onSort: (sort: Sort) => void }) {
  const { sort: by } = column;
  const sorted = by !== null && sort.what === by;
  const direction = sorted ? (sort.descending ? "descending" : "ascending") : undefined;
  return (
    <th scope="col" className={column.numeric ? "number" : undefined} aria-sort={direction} title={column.id}>
      {by === null ? (
        <span className="head">{column.title}</span>
      ) : (
        <button type="button" className="head" onClick={() => onSort(sortedBy(sort, by))}>
          <span>{column.title}</span>
          {sorted && <Icon name={sort.descending ? "down" : "up"} />}
        </button>
      )}
    </th>
  );
}

/** The rows that are out of sight. */
function Space({ height, columns }: { height: number; columns: number }) {
  return (
    <tr aria-hidden="true" className="space">
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}

/** A click anywhere on a row opens it, unless text was selected or the link itself was clicked. */
function open(event: React.MouseEvent, path: string): void {
  if (event.defaultPrevented || (event.target as HTMLElement).closest("a,button")) return;
  if (window.getSelection()?.type === "Range") return;
  if (event.metaKey || event.ctrlKey) window.open(path, "_blank", "noopener");
  else navigate(path);
}
