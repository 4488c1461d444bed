// Call counts of the local KMS, by operation, key, tenant and result.
import type { KmsCall } from './calls.ts';

export interface KmsCountMatch {
  readonly operation?: string;
  readonly key?: string;
  /** `tenant` in the encryption context. */
  readonly tenant?: string;
  /** `ok`, the error name, or `open` for calls in progress. */
  readonly result?: string;
}

export interface KmsCount {
  readonly operation: string;
  readonly key?: string;
  readonly tenant?: string;
  readonly result: string;
  readonly count: number;
}

export interface KmsCounts {
  /** Number of matching calls since the start or the last reset. */
  count(match?: KmsCountMatch): number;
  /** All counts above zero. */
  all(): KmsCount[];
  reset(): void;
}

/** Further rows do not distinguish tenants and keys. */
const MAX_ROWS = 100_000;

type Row = { -readonly [member in keyof KmsCount]: KmsCount[member] };

export class CallCounter implements KmsCounts {
  #rows = new Map<string, Row>();

  /** Counts the call as open. Returns a function that records its result; call it once. */
  begin(call: KmsCall): (result: string) => void {
    const rows = this.#rows;
    const open = this.#row(rows, call, 'open');
    open.count += 1;
    return (result) => {
      open.count -= 1;
      this.#row(rows, call, result).count += 1;
    };
  }

  count(match: KmsCountMatch = {}): number {
    return this.all()
      .filter((row) => (Object.keys(match) as (keyof KmsCountMatch)[]).every((name) => row[name] === match[name]))
      .reduce((sum, row) => sum + row.count, 0);
  }

  all(): KmsCount[] {
    return [...this.#rows.values()].filter((row) => row.count > 0).map((row) => ({ ...row }));
  }

  reset(): void {
    this.#rows = new Map();
  }

  #row(rows: Map<string, Row>, call: KmsCall, result: string): Row {
    const tenant = call.contexts.map((context) => context['tenant']).find((tenant) => typeof tenant === 'string');
    const full = rows.size >= MAX_ROWS;
    const labels = {
      operation: call.operation,
      ...(call.keys[0] === undefined || full ? {} : { key: call.keys[0] }),
      ...(tenant === undefined || full ? {} : { tenant }),
      result,
    };
    const name = JSON.stringify(labels);
    let row = rows.get(name);
    if (!row) rows.set(name, (row = { ...labels, count: 0 }));
    return row;
  }
}
