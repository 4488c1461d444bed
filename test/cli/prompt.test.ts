// What asks on a terminal before it cannot be taken back: another answer than yes changes nothing.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startOnTerminal, type Ended } from './run.ts';
import { openScene, type Scene } from './fixture.ts';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';

const opened = new AsyncDisposableStack();
let scene: Scene;

beforeAll(async () => {
  scene = opened.use(await openScene());
});
afterAll(() => opened.disposeAsync());

/** Types each answer once what comes before it is on the screen. */
async function typed(args: string[], answers: readonly (readonly [after: string, answer: string])[]): Promise<Ended> {
  await using running = startOnTerminal(args, scene.settings);
  for (const [after, answer] of answers) {
    await eventually(() => Promise.resolve(running.stdout().includes(after) || undefined), { timeoutMs: 60_000 });
    running.child.stdin?.write(answer);
  }
  const ended = await running.ended;
  running.child.stdin?.end();
  return ended;
}

describe('tenants delete', () => {
  const question = 'To delete it, type the name of the tenant: ';
  const deleted = async (): Promise<unknown> => (await scene.operator.tenant('globex')).deleted;

  test.each([
    ['no', 'no\n'],
    ['yes', 'yes\n'],
    ['the name of another', 'acme\n'],
    ['nothing', '\n'],
    ['Ctrl-D', CTRL_D],
  ])('answered with %s deletes nothing', async (_, answer) => {
    const { code, stdout } = await typed(['tenants', 'delete', 'globex'], [[question, answer]]);
    expect(stdout).toContain('All of it will be gone for good.');
    expect({ code, isLast: stdout.trimEnd().endsWith('Nothing was deleted.') }).toEqual({ code: 0, isLast: true });
    expect(await deleted()).toBeUndefined();
  });

  test('ended with Ctrl-C at the question deletes nothing', async () => {
    expect(await typed(['tenants', 'delete', 'globex'], [[question, CTRL_C]])).toMatchObject({ code: 130 });
    expect(await deleted()).toBeUndefined();
  });

  test('answered with the name begins', async () => {
    const answers = [
      [question, 'globex\n'],
      ['Waits until', CTRL_C],
    ] as const;
    expect(await typed(['tenants', 'delete', 'globex'], answers)).toMatchObject({ code: 130 });
    expect(await deleted()).toBeDefined();
  });
});

describe('tenants set-key --to-platform-key', () => {
  const args = ['tenants', 'set-key', 'acme', '--to-platform-key'];
  const question = 'Take its own key away? [y/N] ';
  const keyArn = async (): Promise<unknown> => (await scene.operator.tenant('acme')).kmsKeyArn;

  test.each([
    ['no', 'n\n'],
    ['nothing', '\n'],
    ['the name', 'acme\n'],
  ])('answered with %s changes nothing', async (_, answer) => {
    const { code, stdout } = await typed(args, [[question, answer]]);
    expect({ code, isLast: stdout.trimEnd().endsWith('Nothing was changed.') }).toEqual({ code: 0, isLast: true });
    expect(await keyArn()).toBe(scene.keyArn);
  });

  test('answered with yes takes the key away', async () => {
    const { code, stdout } = await typed(args, [[question, 'yes\n']]);
    expect(code).toBe(0);
    expect(stdout).toContain('new data keys are made under the platform key.');
    expect(await keyArn()).toBeUndefined();
  });
});
