// What the demo tells of the outage: the figures, the words, and a table that grows by a row at a time.
// Decides nothing, and is never given a text of the documents.
import type { DemoTenant } from './cast.ts';
import type { DemoScreen } from './story.ts';

export interface OutageFigures {
  readonly parked: {
    /** Parked at once, at most. */
    readonly jobs: number;
    /** From the shutting of the gate until the key was enabled; so are the calls. */
    readonly probes: number;
    /** Cryptographic calls for the key, apart from one of each process at the shutting. */
    readonly kmsCallsWhileShut: number;
    readonly releasedPerSecond: number;
    /** Documents of any tenant that were accepted and are not stored at the end. */
    readonly lost: number;
  };
  /** Of the tenants whose keys work: median milliseconds from sent to stored. */
  readonly others: { readonly p50MsBefore: number; readonly p50MsDuring: number };
}

type Say = Pick<DemoScreen, 'say'>;

export function opening(screen: Say, { tenant }: DemoTenant, probeMs: number): void {
  screen.say(
    `Now for trouble: documents of all tenants keep flowing, and ${tenant} will disable its KMS key. A worker tries ` +
      `such a key every ${probeMs / 1000} s here instead of every 30 s and more (SEALDEX_PROBE_MIN_MS).`,
  );
}

export function disabled(screen: Say, tenant: string): void {
  screen.say(
    `${tenant} disables its KMS key, and a second worker starts. It has no data key of ${tenant} in memory, asks KMS, ` +
      'and is told: the gate shuts, and all processes wipe their data keys of that KMS key.',
  );
}

export function enabled(screen: Say, tenant: string): void {
  screen.say(`${tenant} enables its KMS key. Two good probes open the gate; nobody else has to do anything.`);
}

export interface OutageRow {
  readonly seconds: number;
  readonly key: string;
  readonly gate: string;
  readonly parked: number;
  /** Since the row before. */
  readonly othersStored: number;
  readonly othersMs: number;
  readonly calls: number;
  readonly probes: number;
}

const WIDTHS = [6, 8, 8, 6, 13, 8, 9, 6];

export function columns(screen: Say, tenant: string): void {
  screen.say(
    `The key and the gate of ${tenant}, its parked jobs, the KMS calls for its key; and the others beside it:`,
  );
  screen.say(line(['TIME', 'KEY', 'GATE', 'PARKED', 'OTHERS STORED', 'MEDIAN', 'KMS CALLS', 'PROBES']));
}

export function row(screen: Say, facts: OutageRow): void {
  const { seconds, key, gate, parked, othersStored, othersMs, calls, probes } = facts;
  const cells = [
    `${seconds.toFixed(1)} s`,
    key.toLowerCase(),
    gate,
    parked,
    othersStored,
    othersStored === 0 ? '-' : `${Math.round(othersMs)} ms`,
    calls,
    probes,
  ];
  screen.say(line(cells.map(String)));
}

/** Words to the left, numbers to the right. */
const line = (cells: readonly string[]): string =>
  `  ${cells.map((cell, index) => (index === 1 || index === 2 ? cell.padEnd(WIDTHS[index] ?? 0) : cell.padStart(WIDTHS[index] ?? 0))).join('  ')}`;

export function over(screen: Say, tenant: string, { parked, others }: OutageFigures, documents: number): void {
  const { jobs, probes, kmsCallsWhileShut, releasedPerSecond, lost } = parked;
  screen.say(`${jobs} jobs of ${tenant} were parked at once, and came back at ${number(releasedPerSecond)} a second.`);
  screen.say(
    isProbesOnly(parked)
      ? `  While the gate was shut KMS saw ${kmsCallsWhileShut} calls for the key, those of ${probes} probes, however many jobs waited.`
      : `  While the gate was shut KMS saw ${kmsCallsWhileShut} calls for the key, MORE than ${probes} probes make: this must not be.`,
  );
  screen.say(
    `  The others' documents took ${Math.round(others.p50MsBefore)} ms before and ${Math.round(others.p50MsDuring)} ms during the outage (median).`,
  );
  screen.say(
    lost === 0
      ? `  All ${number(documents)} documents of all tenants are stored.`
      : `  ${number(lost)} of ${number(documents)} documents are NOT stored: this must not be.`,
  );
}

const CALLS_OF_PROBE = 2;

/** A probe asks for a data key and has it unwrapped; of a disabled key it comes no further than the first. */
const isProbesOnly = ({ probes, kmsCallsWhileShut }: OutageFigures['parked']): boolean =>
  kmsCallsWhileShut <= probes * CALLS_OF_PROBE;

const number = (value: number): string => value.toLocaleString('en-US');
