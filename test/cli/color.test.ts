// Colors: only for output that needs action, only on a terminal, and not with NO_COLOR or TERM=dumb.
import { describe, expect, test } from 'vitest';
import { checkLines } from '../../src/cli/check-line.ts';
import { gateLines } from '../../src/cli/gate-lines.ts';
import { withHost } from '../../src/cli/host.ts';
import { printLine, toned, type Line } from '../../src/cli/terminal.ts';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { recordedHost } from './in-process.ts';
import { linesOf } from './output.ts';

const RED = '\u001b[31m';
const YELLOW = '\u001b[33m';
const DEFAULT = '\u001b[39m';

function printed(lines: readonly Line[], options: Parameters<typeof recordedHost>[0]): string[] {
  const { host, stdout } = recordedHost(options);
  withHost(host, () => {
    for (const line of lines) printLine(line);
  });
  return linesOf(stdout.text());
}

const check = (status: 'ok' | 'warn' | 'fail'): Line[] =>
  checkLines({ name: 'a', status, observed: 'Seen.' }, 1, false);

describe('on a terminal', () => {
  test('a warning is yellow, a failure is red, and what passed has no color', () => {
    expect(printed([...check('ok'), ...check('warn'), ...check('fail')], { isTTY: true })).toEqual([
      'ok    a Seen.',
      `${YELLOW}warn  a Seen.${DEFAULT}`,
      `${RED}FAIL  a Seen.${DEFAULT}`,
    ]);
  });

  test('a shut gate is red, and a gate that opens has no color', () => {
    const gate = {
      ...keyRef('acme', 'arn:aws:kms:us-west-2:111122223333:key/1'),
      code: 'KEY_DISABLED',
      since: 0,
      jobs: 1,
      probes: 0,
      whoActs: 'tenant',
      explanation: 'Explanation.',
      commands: [],
    } as const;
    const lines = printed(
      gateLines(
        [
          { ...gate, state: 'shut' },
          { ...gate, state: 'draining' },
        ],
        false,
      ),
      { isTTY: true },
    );
    expect(lines.map((line) => line.startsWith(RED))).toEqual([false, true, false, false, false]);
  });

  test('a line cannot bring colors of its own', () => {
    expect(printed([toned('a\u001b[32mb', 'fail')], { isTTY: true })).toEqual([`${RED}a\uFFFD[32mb${DEFAULT}`]);
  });

  test.each([[{ NO_COLOR: '1' }], [{ NO_COLOR: '0' }], [{ TERM: 'dumb' }]])('%j turns colors off', (env) => {
    expect(printed(check('fail'), { isTTY: true, env })).toEqual(['FAIL  a Seen.']);
  });

  test('an empty NO_COLOR leaves colors on', () => {
    expect(printed(check('fail'), { isTTY: true, env: { NO_COLOR: '' } })[0]).toContain(RED);
  });
});

test('a line in a file or pipe has no color', () => {
  expect(printed(check('fail'), { isTTY: false })).toEqual(['FAIL  a Seen.']);
});
