// The table with the responsible party and the commands for each parking code.
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/cli.ts';
import { keyRef } from '../../src/runtime/key-ref.ts';
import { CODES, type Code } from '../../src/runtime/errors.ts';
import { DENIED_BY_OPERATOR, GATE_ACTIONS, remedyOf, type GateAction } from '../../src/operator/gate-actions.ts';

const KEY = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd';
const PLACE = { ...keyRef('acme', KEY), state: 'shut' };

const GATE_CODES = (Object.keys(CODES) as Code[]).filter(
  (code) => CODES[code].disposition === 'park' || code === 'KEY_DESTROYED',
);

test('the table has a row for each parking code and for a destroyed key, no other, and is frozen', () => {
  expect(Object.keys(GATE_ACTIONS).toSorted()).toEqual(GATE_CODES.toSorted());
  const rows: readonly GateAction[] = [...Object.values(GATE_ACTIONS), DENIED_BY_OPERATOR];
  expect(
    [GATE_ACTIONS, ...rows, ...rows.map(({ commands }) => commands)].filter((each) => !Object.isFrozen(each)),
  ).toEqual([]);
});

test.each(GATE_CODES)('%s names the responsible party and commands ready to paste', (code) => {
  const { whoActs, explanation, commands } = remedyOf({ ...PLACE, code });
  expect(explanation).toMatch(/^[A-Z].*\.$/);
  expect(commands.length > 0).toBe(whoActs !== 'none');
  expect(commands.filter((command) => /[{}]/.test(command))).toEqual([]);
  const ofAws = commands.filter((command) => command.startsWith('aws kms '));
  expect(ofAws.filter((command) => !command.includes('--region eu-west-1'))).toEqual([]);
  const ofSealdex = commands.filter((command) => command.startsWith('sealdex '));
  expect(ofAws.length + ofSealdex.length).toBe(commands.length);
  expect(ofAws.length > 0).toBe(whoActs === 'tenant');
});

test('a scheduled deletion needs cancelling and then enabling, and the explanation has both', () => {
  expect(remedyOf({ ...PLACE, code: 'KEY_PENDING_DELETION' })).toEqual({
    whoActs: 'tenant',
    explanation: 'Cancelling the deletion leaves the key disabled. Run both commands.',
    commands: [
      `aws kms cancel-key-deletion --key-id ${KEY} --region eu-west-1`,
      `aws kms enable-key --key-id ${KEY} --region eu-west-1`,
    ],
  });
});

test('a denial needs action by the tenant, unless a policy of sealdex denies', () => {
  expect(remedyOf({ ...PLACE, code: 'KEY_DENIED', deniedBy: 'tenant' })).toEqual(
    remedyOf({ ...PLACE, code: 'KEY_DENIED' }),
  );
  const ownCommands = remedyOf({ ...PLACE, code: 'KEY_DENIED', deniedBy: 'operator' });
  expect(ownCommands.whoActs).toBe('operator');
  const [makes, uses] = ownCommands.commands;
  expect(makes).toMatch(/^sealdex policy worker > policy\.json$/);
  expect(uses).toMatch(/^aws iam .* file:\/\/policy\.json$/);
});

test('a missing permission has the commands that print the policy', () => {
  const denied = [remedyOf({ ...PLACE, code: 'KEY_DENIED' }), DENIED_BY_OPERATOR];
  expect(denied.filter(({ explanation }) => /kms:/.test(explanation))).toEqual([]);
  expect(denied.map(({ commands }) => commands)).toEqual([
    expect.arrayContaining(['sealdex keys policy --tenant acme --principal ROLE_ARN']),
    expect.arrayContaining(['sealdex policy worker > policy.json']),
  ]);
});

test('a draining gate needs no action', () => {
  expect(remedyOf({ ...PLACE, state: 'draining', code: 'KEY_DISABLED' })).toMatchObject({
    whoActs: 'none',
    commands: [],
  });
});

describe('the commands of sealdex', () => {
  const ownCommands = [...Object.values(GATE_ACTIONS), DENIED_BY_OPERATOR].flatMap(({ commands }) =>
    commands.filter((command) => command.startsWith('sealdex ')),
  );

  test.each(ownCommands)('exist, with their options: %s', async (text) => {
    let command: Command | undefined = await buildProgram();
    const words = text.split(' ').slice(1);
    while (command && command.commands.length > 0) {
      const name = words.shift();
      command = command.commands.find((each) => each.name() === name);
    }
    expect(command).toBeDefined();
    const known = command?.options.map(({ long }) => long) ?? [];
    expect(words.filter((word) => word.startsWith('--') && !known.includes(word))).toEqual([]);
  });

  test('are in the table', () => expect(ownCommands.length).toBeGreaterThan(2));
});
