// Confirmations of irreversible commands: any response other than yes changes nothing.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { openScene, type Scene } from './fixture.ts';
import { startInProcess } from './in-process.ts';
import type { Ended } from './output.ts';
import { startOnTerminal } from './run.ts';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

const opened = new AsyncDisposableStack();
let scene: Scene;

beforeAll(async () => {
  scene = opened.use(await openScene());
});
afterAll(() => opened.disposeAsync());

type Answers = readonly (readonly [after: string, answer: string])[];

/** Types each response once the text before it is on the screen. */
async function typed(args: string[], answers: Answers): Promise<Ended> {
  await using running = startInProcess(args, { settings: scene.settings, stdin: 'open', isTTY: true });
  for (const [after, answer] of answers) {
    await eventually(() => running.stderr().includes(after));
    if (answer === CTRL_C) running.kill('SIGINT');
    else if (answer === CTRL_D) running.stdin.end();
    else running.stdin.write(answer);
  }
  return await running.ended;
}

/** The same in a child process, on a terminal that echoes input. */
async function typedOnTerminal(args: string[], answers: Answers): Promise<Ended> {
  await using running = startOnTerminal(args, scene.settings);
  for (const [after, answer] of answers) {
    await eventually(() => running.stdout().includes(after));
    running.child.stdin?.write(answer);
  }
  const ended = await running.ended;
  running.child.stdin?.end();
  return ended;
}

describe('tenants delete', () => {
  const args = ['tenants', 'delete', 'globex'];
  const question = 'Type the tenant name to confirm: ';
  const deleted = async (): Promise<unknown> => (await scene.operator.tenant('globex')).deleted;

  test.each([
    ['no', 'no\n'],
    ['yes', 'yes\n'],
    ['the name of another tenant', 'acme\n'],
    ['an empty line', '\n'],
    ['Ctrl-D', CTRL_D],
  ])('deletes nothing when the response is %s', async (_, answer) => {
    const { code, stderr } = await typed(args, [[question, answer]]);
    expect(stderr).toContain('All of it will be permanently deleted.');
    expect({ code, isLast: stderr.trimEnd().endsWith('Nothing was deleted.') }).toEqual({ code: 0, isLast: true });
    expect(await deleted()).toBeUndefined();
  });

  test.each([
    ['Ctrl-D', CTRL_D, 0],
    ['Ctrl-C', CTRL_C, 130],
  ])('deletes nothing after %s on a real terminal', async (_, answer, code) => {
    expect(await typedOnTerminal(args, [[question, answer]])).toMatchObject({ code });
    expect(await deleted()).toBeUndefined();
  });

  test('starts when the response is the name, and stops waiting at Ctrl-C', async () => {
    const answers = [
      [question, 'globex\n'],
      ['Waiting until', CTRL_C],
    ] as const;
    expect(await typed(args, answers)).toMatchObject({ code: 130 });
    expect(await deleted()).toBeDefined();
  });
});

describe('tenants set-key --to-platform-key', () => {
  const args = ['tenants', 'set-key', 'acme', '--to-platform-key'];
  const question = 'Switch to the platform key? [y/N] ';
  const keyArn = async (): Promise<unknown> => (await scene.operator.tenant('acme')).kmsKeyArn;

  test.each([
    ['no', 'n\n'],
    ['an empty line', '\n'],
    ['the name', 'acme\n'],
  ])('changes nothing when the response is %s', async (_, answer) => {
    const { code, stderr } = await typed(args, [[question, answer]]);
    expect({ code, isLast: stderr.trimEnd().endsWith('Nothing was changed.') }).toEqual({ code: 0, isLast: true });
    expect(await keyArn()).toBe(scene.keyArn);
  });

  test('removes the key when the response is yes on a real terminal', async () => {
    const { code, stdout } = await typedOnTerminal(args, [[question, 'yes\n']]);
    expect(code).toBe(0);
    expect(stdout).toContain('Tenant acme now uses the platform key for new data.');
    expect(await keyArn()).toBeUndefined();
  });
});
