// The operator's word at a gate: a paused tenant or a blocked KMS key stands in the tenant's file, and from there it is
// carried to the gate that all processes look at. What the file says is not read here.
import type { Code } from '../runtime/errors.ts';
import { isClosed, type Gate, type GateRecord } from './gate-record.ts';

export interface Word {
  readonly code: Code;
  /** Wall clock, milliseconds. */
  readonly since: number;
  readonly note: string;
}

/** What only the operator ends, whatever KMS says. */
export const isByOperator = (code: Code): boolean => code === 'KEY_BLOCKED' || code === 'TENANT_PAUSED';

/** Whose gate it is, and whether the KMS key is the tenant's current one. */
export type GatePlace = Pick<GateRecord, 'tenant' | 'keyArn' | 'wasCurrent'>;

/** A gate shut by the operator's word, whatever it was before. A probe of it asks the tenant's file, never KMS. */
export function shutByWord(gate: Gate, place: GatePlace, word: Word, now: number, nextProbe: number): GateRecord {
  const before = isClosed(gate) ? gate.record : undefined;
  return {
    tenant: place.tenant,
    keyArn: place.keyArn,
    wasCurrent: place.wasCurrent,
    state: 'shut',
    code: word.code,
    since: before?.since ?? now,
    codeSince: word.since,
    note: word.note,
    probes: before?.probes ?? 0,
    goodProbes: 0,
    nextProbe,
  };
}

/** New jobs proceed, and the parked ones are released at a worker's next look: KMS decides. */
export const released = (record: GateRecord): GateRecord => ({
  ...record,
  state: 'draining',
  goodProbes: 0,
  nextProbe: 0,
});
