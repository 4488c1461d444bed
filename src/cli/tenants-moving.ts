// What is said of a tenant whose KMS key was changed: what the tenant cannot yet revoke, and how far the move has come.
import type { ReencryptionProgress, TenantFile } from '../app.ts';
import { systemClock } from '../clock.ts';
import { time } from './terminal.ts';

/** One sentence a line; none for a tenant whose key was never changed. */
export function movingOf(
  { state, since, passBegun, doneAt, counts }: ReencryptionProgress,
  file: TenantFile,
): string[] {
  const { tenant, formerKeyArns } = file;
  const changed = `The KMS key of tenant ${tenant} was changed${since === undefined ? '' : ` ${time(since)}`}`;
  const former = formerKeyArns.length === 1 ? `the former key ${formerKeyArns[0]}` : 'the former keys';
  const again = `sealdex tenants reencrypt ${tenant}`;
  if (state === 'none') return [];
  if (state === 'not begun')
    return [
      `${changed}; what is stored is still under ${former}. A worker begins to move it within the hour, ${again} does at once.`,
    ];
  const { current = 0, moved = 0, unreadable = 0 } = counts ?? {};
  if (state === 'done')
    return unreadable === 0
      ? [
          `${changed}; all that is stored is under the current key${doneAt === undefined ? '' : ` since ${time(doneAt)}`}.`,
        ]
      : [
          `${changed}; ${unreadable} objects could not be read and stay under ${former}. Once that key reads them: ${again}`,
        ];
  const waits = passBegun !== undefined && passBegun > systemClock.now();
  return [
    `${changed}; until all is moved, revoking ${former} makes the rest of what is stored unreadable.`,
    waits
      ? `Everything is moved that was there; it is looked through once more ${time(passBegun)}, when no process can still use the former key.`
      : `This pass: ${moved} moved, ${current} were under the current key already, ${unreadable} cannot be read.`,
  ];
}
