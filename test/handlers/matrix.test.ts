// The matrix: the outcome of a job for every combination of gate, key ring, KMS and store. In each combination the first
// matching table decides, in the order of a job's steps.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dispositionOf, type Code } from '../../src/runtime/errors.ts';
import type { Outcome } from '../../src/jobs/outcome.ts';
import { KMS_FAULTS, type MemoryKeyState, type MemoryKmsFault, type MemoryKmsMatch } from '../support/memory-kms.ts';
import { STORE_FAULTS, type MemoryStoreFault } from '../support/memory-store.ts';
import { openMatrix, type Combination, type Matrix, type Seen } from './matrix-fixture.ts';

/** The outcome of a job. */
interface End {
  readonly kind: Outcome['kind'];
  readonly code?: Code;
  /** Whether the job spends an attempt. */
  readonly spendsAttempt?: true;
}

const DONE: End = { kind: 'done' };
const end = (code: Code): End => {
  const { disposition } = dispositionOf(code);
  return { kind: disposition === 'none' ? 'retry' : disposition, code };
};

interface GateRow {
  /** A closed gate: no call to KMS or S3 is made. */
  readonly end?: End;
  readonly leaves: string;
  /** Cached keys wiped in this process when the gate is shut. */
  readonly wipes?: Partial<Record<Combination['ring'], number>>;
}

const GATES: Record<Combination['gate'], GateRow> = {
  open: { leaves: 'none' },
  shut: { end: end('KEY_PENDING_IMPORT'), leaves: 'shut KEY_PENDING_IMPORT', wipes: { fresh: 2 } },
  draining: { leaves: 'draining KEY_PENDING_IMPORT' },
  unknown: { end: end('GATE_UNKNOWN'), leaves: 'none' },
};

interface RingRow {
  /** A cached key needs no KMS call, so the state of KMS does not matter. */
  readonly asksKms: boolean;
  readonly expired: number;
}

const RINGS: Record<Combination['ring'], RingRow> = {
  fresh: { asksKms: false, expired: 0 },
  expired: { asksKms: true, expired: 2 },
  none: { asksKms: true, expired: 0 },
};

interface KmsRow {
  readonly set: Combination['kms'];
  readonly end?: End;
  /** GenerateDataKey, Decrypt: calls that reach KMS. Content of the last period is unwrapped, then the key of this one is made. */
  readonly calls: readonly [number, number];
  /** Data keys unwrapped before the denial and wiped by it. */
  readonly unusable?: number;
}

const state = (name: MemoryKeyState, code: Code): KmsRow => ({
  set: ({ kms }, { keyArn }) => kms.setState(keyArn, name),
  end: end(code),
  calls: [0, 1],
});

const fault = (what: MemoryKmsFault, code: Code, calls: KmsRow['calls'], more: Partial<KmsRow> = {}): KmsRow => ({
  set: ({ kms }, { keyArn }) => kms.faults.set({ match: { key: keyArn }, fault: what }),
  end: end(code),
  calls,
  ...more,
});

const denied = (
  operation: NonNullable<MemoryKmsMatch['operation']>,
  calls: KmsRow['calls'],
  more: Partial<KmsRow> = {},
): KmsRow => ({
  set: ({ kms }, { keyArn }) => kms.faults.set({ match: { key: keyArn, operation }, fault: KMS_FAULTS.accessDenied }),
  end: end('KEY_DENIED'),
  calls,
  ...more,
});

const KMS: Record<string, KmsRow> = {
  ok: { set: () => {}, calls: [1, 1] },
  throttled: fault(KMS_FAULTS.throttled, 'KMS_THROTTLED', [0, 1]),
  transient: fault(KMS_FAULTS.internal, 'KMS_FAILED', [0, 1]),
  hang: fault({ kind: 'hang' }, 'KMS_FAILED', [0, 1]),
  credentials: fault(KMS_FAULTS.expiredCredentials, 'PLATFORM_CREDENTIALS', [0, 1]),
  disabled: state('Disabled', 'KEY_DISABLED'),
  'pending deletion': state('PendingDeletion', 'KEY_PENDING_DELETION'),
  'replica pending deletion': state('PendingReplicaDeletion', 'KEY_PENDING_DELETION'),
  'pending import': state('PendingImport', 'KEY_PENDING_IMPORT'),
  unavailable: state('Unavailable', 'KEY_UNAVAILABLE'),
  creating: state('Creating', 'KMS_FAILED'),
  gone: { set: ({ kms }, { keyArn }) => kms.forget(keyArn), end: end('KEY_NOT_FOUND'), calls: [0, 1] },
  // A denial of a past period is confirmed with the current one, by both calls as far as they succeed.
  'Decrypt denied only': denied('Decrypt', [1, 2]),
  'GenerateDataKey denied only': denied('GenerateDataKey', [1, 1], { unusable: 1 }),
  denied: fault(KMS_FAULTS.accessDenied, 'KEY_DENIED', [1, 1]),
  'old period denied': {
    set: ({ kms }, { keyArn, period }) =>
      kms.faults.set({ match: { key: keyArn, context: { period } }, fault: KMS_FAULTS.accessDenied }),
    // Until its attempts are spent: a new policy may still be propagating in KMS, and affect the whole key.
    end: { kind: 'retry', code: 'PERIOD_DENIED', spendsAttempt: true },
    calls: [1, 2],
  },
};

interface StoreRow {
  readonly set: Combination['store'];
  readonly end: End;
  readonly isCanaryGood: boolean;
}

const writes = (what: MemoryStoreFault, times?: number): Combination['store'] => {
  const often = times === undefined ? {} : { times };
  return ({ bucket }, { tenant }) =>
    bucket.faults.set({ match: { operation: 'put', prefix: `documents/${tenant}/` }, fault: what, ...often });
};

const STORES: Record<string, StoreRow> = {
  ok: { set: () => {}, end: DONE, isCanaryGood: true },
  transient: { set: writes(STORE_FAULTS.internal), end: end('STORE_FAILED'), isCanaryGood: true },
  conflict: { set: writes({ kind: 'conflict' }, 1), end: DONE, isCanaryGood: true },
  refused: {
    set: writes(STORE_FAULTS.accessDenied),
    end: { kind: 'retry', code: 'STORE_FAILED', spendsAttempt: true },
    isCanaryGood: true,
  },
  'canary fails': { set: writes(STORE_FAULTS.accessDenied), end: end('PLATFORM_STORE'), isCanaryGood: false },
};

interface Case {
  readonly gate: Combination['gate'];
  readonly ring: Combination['ring'];
  readonly kms: string;
  readonly store: string;
}

const namesOf = <K extends string>(table: Record<K, unknown>): K[] => Object.keys(table) as K[];

const CASES: Case[] = namesOf(GATES).flatMap((gate) =>
  namesOf(RINGS).flatMap((ring) =>
    namesOf(KMS).flatMap((kms) => namesOf(STORES).map((store): Case => ({ gate, ring, kms, store }))),
  ),
);

const ANY = expect.any(String) as string;

function expected({ gate, ring, kms, store }: Case): Seen {
  const [atGate, atRing, atKms, atStore] = [GATES[gate], RINGS[ring], KMS[kms]!, STORES[store]!];
  const asks = !atGate.end && atRing.asksKms;
  const { kind, code, spendsAttempt = false } = atGate.end ?? (asks ? atKms.end : undefined) ?? atStore.end;
  const isShutHere = kind === 'park' && !atGate.end;
  const wipes = {
    expired: atRing.expired,
    shut: atGate.wipes?.[ring] ?? 0,
    unusable: asks ? (atKms.unusable ?? 0) : 0,
  };
  return {
    outcome: {
      kind,
      ...(code === undefined ? {} : { code }),
      ...(kind === 'park' ? { gate: ANY } : {}),
      ...(kind === 'retry' ? { spendsAttempt } : {}),
    } as Seen['outcome'],
    kmsCalls: { GenerateDataKey: asks ? atKms.calls[0] : 0, Decrypt: asks ? atKms.calls[1] : 0 },
    jobs: { [kind]: 1 },
    // The store denies access; the canary decides whether the platform is affected.
    faults: code === undefined ? {} : { [code === 'PLATFORM_STORE' ? 'STORE_FAILED' : code]: 1 },
    wipes: Object.fromEntries(Object.entries(wipes).filter(([, keys]) => keys > 0)),
    gate: isShutHere ? `shut ${code}` : atGate.leaves,
  };
}

const AT_ONCE = 16;

const seen = new Map<Case, Seen | Error>();
let matrix: Matrix;

/** All at once, so that hanging calls wait together. */
beforeAll(async () => {
  matrix = await openMatrix();
  const rest = CASES.values();
  const work = async (): Promise<void> => {
    for (const one of rest) {
      const [kms, store] = [KMS[one.kms]!, STORES[one.store]!];
      const combination: Combination = {
        gate: one.gate,
        ring: one.ring,
        kms: kms.set,
        store: store.set,
        isCanaryGood: store.isCanaryGood,
      };
      seen.set(one, await matrix.run(combination).catch((error: unknown) => error as Error));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
});

afterAll(() => matrix[Symbol.asyncDispose]());

test.for(CASES)('gate $gate, key ring $ring, KMS $kms, store $store', (one) => {
  expect(seen.get(one)).toEqual(expected(one));
});
