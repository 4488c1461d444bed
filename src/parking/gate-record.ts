// Gate records: the circuit breaker of one tenant and KMS key as JSON, its states and its parser.
import { z } from 'zod';
import type { KeyRef } from '../runtime/key-ref.ts';
import { isCode, SealdexError, type Code } from '../runtime/errors.ts';
import { NAME } from '../runtime/names.ts';
import { isNewerThan, NEWER, newerMessage } from '../runtime/newer.ts';

const GATE_STATES = ['open', 'shut', 'draining', 'destroyed'] as const;

/**
 * `open`: jobs proceed. `shut`: they are parked. `draining`: they proceed, and the parked ones are being released.
 * `destroyed`: the KMS key is gone; the parked jobs are released, and each ends as a dead letter.
 */
export type GateState = (typeof GATE_STATES)[number];

export interface GateRecord extends KeyRef {
  readonly state: GateState;
  /** Why the gate was shut; kept while it drains. */
  readonly code: Code;
  /** Wall clock, milliseconds: when the gate was shut; for an open gate, when it was opened. */
  readonly since: number;
  /** Wall clock, milliseconds: when the code was set. */
  readonly codeSince: number;
  /** Error name of KMS, and the request id of the failed call. */
  readonly reason?: string;
  readonly requestId?: string;
  /** For a denial: the side whose policy denied the call, if KMS reports it. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** When KMS will delete the key, if KMS reports a date. */
  readonly deletesAt?: number;
  /** The operator's reason for a block or a pause. */
  readonly note?: string;
  /** Whether it was the tenant's current KMS key when the gate was shut. */
  readonly wasCurrent: boolean;
  /** Probes so far, consecutive successful ones, and when the next one is due. */
  readonly probes: number;
  readonly goodProbes: number;
  readonly nextProbe: number;
}

/** A record with the epoch of its last change; epoch 0: there has never been one. */
export interface Gate {
  readonly epoch: number;
  readonly record?: GateRecord;
  /** A newer release wrote the gate: its state is unknown, and it must not be changed. */
  readonly isNewer?: true;
}

export const NO_GATE: Gate = Object.freeze({ epoch: 0 });

/** The error of work under a gate that a newer release wrote, and of its changes. */
export const newerGate = ({ tenant }: Pick<KeyRef, 'tenant'>): SealdexError =>
  new SealdexError('GATE_UNKNOWN', newerMessage(`The gate of tenant ${tenant}`), { reason: NEWER });

/** A gate with an epoch above the counter was not written by sealdex. It counts as none: every change of it would seem old. */
export const unlessForged = (gate: Gate, epochOfAll: number): Gate => (gate.epoch > epochOfAll ? NO_GATE : gate);

/** Whether the gate stops new work under the key. */
export const isClosed = ({ record }: { readonly record?: GateRecord | undefined }): boolean =>
  record?.state === 'shut' || record?.state === 'destroyed';

/** Whether only the operator can lift the code, whatever KMS returns. */
export const isOperatorStop = (code: Code): boolean => code === 'KEY_BLOCKED' || code === 'TENANT_PAUSED';

const gateRecord = z.object({
  tenant: z.string().regex(NAME),
  keyArn: z.string().max(300),
  state: z.enum(GATE_STATES),
  code: z.string().refine(isCode),
  since: z.number(),
  codeSince: z.number(),
  deniedBy: z.enum(['operator', 'tenant']).optional(),
  reason: z.string().max(100).optional(),
  requestId: z.string().max(100).optional(),
  deletesAt: z.number().optional(),
  note: z.string().max(300).optional(),
  wasCurrent: z.boolean(),
  probes: z.int().nonnegative(),
  goodProbes: z.int().nonnegative(),
  nextProbe: z.number(),
});

/** `<epoch> <record as JSON>`. Text that cannot be parsed counts as no gate: then KMS decides. */
export function parseGate(text: string | null | undefined): Gate {
  const found = /^(\d{1,15}) (.*)$/s.exec(text ?? '');
  if (!found) return NO_GATE;
  const epoch = Number(found[1]);
  const value = parseJson(found[2] ?? '');
  if (isNewerThan(1, value)) return { epoch, isNewer: true };
  const parsed = gateRecord.safeParse(value);
  return { epoch, ...(parsed.success ? { record: parsed.data as GateRecord } : {}) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
