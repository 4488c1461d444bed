// Output of `sealdex status` for work without a worker.
import { expect, test } from 'vitest';
import type { Status } from '../../src/app/app.ts';
import { statusLines } from '../../src/cli/status.ts';
import { textOfLine } from '../../src/cli/terminal.ts';

type Process = Status['processes'][number];

const processOf = (role: Process['role'], takesUploads?: boolean): Process => ({
  process: '0'.repeat(16),
  role,
  pid: 1,
  started: 0,
  keys: 0,
  oldestKeyMs: 0,
  lastVerifiedAgeMs: 0,
  auditFailures: 0,
  kmsCalls: {},
  tenants: [],
  takesUploads,
});

const EMPTY = { waiting: 0, active: 0, delayed: 0, dead: 0 };

const STATUS: Status = {
  queue: 'main',
  index: EMPTY,
  upload: EMPTY,
  processes: [],
  keys: 0,
  oldestKeyMs: 0,
  kmsCalls: {},
  parkedByTenant: [],
  platformKeyContent: { jobs: 0, bytes: 0 },
  deadByTenant: [],
};

/** The last line for waiting uploads and the given running processes. */
const lastLine = (waiting: number, processes: readonly Process[]): string | undefined =>
  statusLines({ ...STATUS, upload: { ...EMPTY, waiting }, processes }, false)
    .map(textOfLine)
    .at(-1);

const HINT = 'Install it where the worker runs, then restart the worker: npm install @sealdex/extract';

test('status names the package to install if uploads are waiting and no worker can read files', () => {
  expect(lastLine(3, [processOf('producer'), processOf('worker', false), processOf('worker', false)])).toBe(HINT);
});

test.each<[string, number, Process[]]>([
  ['no upload waits', 0, [processOf('worker', false)]],
  ['a worker takes uploads', 3, [processOf('worker', false), processOf('worker', true)]],
  ['an older worker does not report it', 3, [processOf('worker', false), processOf('worker')]],
])('status does not name the package if %s', (_, waiting, processes) => {
  expect(lastLine(waiting, processes)).not.toBe(HINT);
});

test('status reports that no worker is running, even if jobs wait', () => {
  expect(lastLine(3, [processOf('producer')])).toBe('No worker is running. Start one: sealdex worker');
});

test('status prints how much content is under the platform key, if there is any', () => {
  const linesWith = (jobs: number): string[] =>
    statusLines({ ...STATUS, platformKeyContent: { jobs, bytes: jobs * 512 } }, false).map(textOfLine);
  expect(linesWith(1)).toContain("Content under the platform key while tenants' keys are unusable: 1 job, 512B");
  expect(linesWith(0).join('\n')).not.toContain('platform key');
});
