// How much memory a process takes, seen from outside: Buffers and native memory included, which a heap limit does not see.
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

function kibibytes(status: string, name: string): number | undefined {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status);
  return found ? Number(found[1]) : undefined;
}
