// Processes seen from outside: how much memory one takes, Buffers and native memory included, which a heap limit does not
// see, and how much time of the processor.
import { readFileSync } from 'node:fs';

/** Resident and swapped bytes of a process; undefined where the system does not tell (not Linux), or when it is gone. */
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
  /** Since the process began, milliseconds: in its own code and in the system's. */
  readonly usedMs: number;
  /** It waits for something, and not for the processor. */
  readonly isAsleep: boolean;
}

/** Linux counts in hundredths of a second, whatever its own tick is. */
const TICK_MS = 10;

/** Undefined where the system does not tell (not Linux), or when it is gone. */
export function processorTime(pid: number): ProcessorTime | undefined {
  try {
    // After the name, which may hold spaces and brackets: state, ten others, then the two times.
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
