// Memory and processor time of a process, from the operating system. Memory includes Buffers and native memory, which a heap
// limit does not cover.
import { readFileSync } from 'node:fs';

/** Resident and swapped bytes of a process; undefined if the system does not report them (not Linux), or if it has ended. */
export function residentBytes(pid: number): number | undefined {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return undefined;
  }
  const resident = kibibytes(status, 'VmRSS');
  return resident === undefined ? undefined : (resident + (kibibytes(status, 'VmSwap') ?? 0)) * 1024;
}

export interface ProcessorTime {
  /** Since the start of the process, in milliseconds: user and system time. */
  readonly usedMs: number;
  /** It waits for an event, not for the processor. */
  readonly isAsleep: boolean;
}

/** Linux counts in hundredths of a second, regardless of its tick. */
const TICK_MS = 10;

/** Undefined if the system does not report it (not Linux), or if the process has ended. */
export function processorTime(pid: number): ProcessorTime | undefined {
  try {
    // After the name, which may contain spaces and parentheses: state, ten other fields, then the two times.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
    return { usedMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, isAsleep: fields[0] === 'S' };
  } catch {
    return undefined;
  }
}

function kibibytes(status: string, name: string): number | undefined {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status);
  return found ? Number(found[1]) : undefined;
}
