// Runs scripts with named keys and arguments against Redis, and finds Lua in src that counts positions.
import { randomBytes } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { closeRedis, openRedis, type Redis } from '../../src/runtime/redis.ts';
import { runScript, script } from '../../src/runtime/lua-script.ts';

const ROOT = new URL('../../', import.meta.url);
const key = `t-${randomBytes(6).toString('hex')}`;
let redis: Redis;

beforeAll(async () => {
  redis = await openRedis({ redisUrl: inject('redisUrl') }, 'prompt');
});
afterAll(async () => {
  await redis.del(key);
  closeRedis(redis);
});

const APPEND = script({
  name: 'test_append',
  keys: ['list'],
  args: ['prefix', 'suffix'],
  lua: `return redis.call('RPUSH', list, prefix .. suffix)`,
});

const ECHO = script({
  name: 'test_echo',
  keys: ['first', '...others'],
  args: ['word', '...more'],
  lua: `return { first, #others, others[1] or '', others[#others] or '', word, #more, more[1] or '', more[#more] or '' }`,
});

describe('a script', () => {
  test('reads its keys and arguments by name, regardless of their order in the input', async () => {
    await runScript(redis, APPEND, { suffix: 2, list: key, prefix: 'a' });
    await runScript(redis, APPEND, { prefix: Buffer.from('b'), suffix: 'c', list: key });
    expect(await redis.lrange(key, 0, -1)).toEqual(['a2', 'bc']);
  });

  test('receives the remaining keys and arguments as lists', async () => {
    const answer = await runScript(redis, ECHO, { first: 'k1', others: ['k2', 'k3'], word: 'w', more: [7, 'x', 'y'] });
    expect(answer).toEqual(['k1', 2, 'k2', 'k3', 'w', 3, '7', 'y']);
  });

  test('receives empty lists if there is no remaining key or argument', async () => {
    const answer = await runScript(redis, ECHO, { first: 'k1', others: [], word: 'w', more: [] });
    expect(answer).toEqual(['k1', 0, '', '', 'w', 0, '', '']);
  });

  test('receives all keys and arguments as lists if only lists are named', async () => {
    const lists = script({
      name: 'test_lists',
      keys: ['...keys'],
      args: ['...words'],
      lua: 'return { #keys, words[2] }',
    });
    expect(await runScript(redis, lists, { keys: ['a', 'b', 'c'], words: ['x', 'y'] })).toEqual([3, 'y']);
  });

  test('runs without an argument', async () => {
    const kind = script({ name: 'test_kind', keys: ['list'], lua: `return redis.call('TYPE', list).ok` });
    await runScript(redis, APPEND, { list: key, prefix: '', suffix: '' });
    expect(await runScript(redis, kind, { list: key })).toBe('list');
  });

  test('receives more values than Lua unpacks at once', async () => {
    const more = Array.from({ length: 20_000 }, (_, at) => at);
    const answer = await runScript(redis, ECHO, { first: 'k1', others: [], word: 'w', more });
    expect(answer).toEqual(['k1', 0, '', '', 'w', 20_000, '0', '19999']);
  });

  test('is sent as its hash after the first run on a connection', async () => {
    const own = await openRedis({ redisUrl: inject('redisUrl') }, 'prompt');
    const sent: { readonly name: string }[] = [];
    const send = own.sendCommand.bind(own);
    own.sendCommand = (command, stream) => {
      sent.push(command);
      return send(command, stream);
    };
    for (let times = 0; times < 3; times += 1) await runScript(own, APPEND, { list: key, prefix: 'm', suffix: times });
    closeRedis(own);
    expect(sent.map(({ name }) => name)).toEqual(['eval', 'evalsha', 'evalsha']);
  });

  test('rejects with REDIS_FAILED and the first word of the reply if Redis raises an error', async () => {
    await redis.set(key, 'text');
    await expect(runScript(redis, APPEND, { list: key, prefix: 'a', suffix: 'b' })).rejects.toMatchObject({
      code: 'REDIS_FAILED',
      reason: 'WRONGTYPE',
    });
    await redis.del(key);
  });
});

describe('the input of a script does not compile', () => {
  // Never run: tsc reads it, and an unused expectation is its error.
  const compiled = (): unknown => [
    // @ts-expect-error: `suffix` is missing.
    runScript(redis, APPEND, { list: key, prefix: 'a' }),
    // @ts-expect-error: no name of the script.
    runScript(redis, APPEND, { list: key, prefix: 'a', suffix: 'b', extra: 1 }),
    // @ts-expect-error: a key is a string.
    runScript(redis, APPEND, { list: 1, prefix: 'a', suffix: 'b' }),
    // @ts-expect-error: the rest is a list.
    runScript(redis, ECHO, { first: 'k1', others: 'k2', word: 'w', more: [] }),
    // @ts-expect-error: the field of a rest has no dots.
    runScript(redis, ECHO, { first: 'k1', '...others': [], word: 'w', more: [] }),
  ];

  test('if a name is missing, unknown or of another type', () => {
    expect(compiled).toBeTypeOf('function');
  });
});

describe('the definition of a script throws', () => {
  const lua = 'return 1';
  test.each([
    ['two names are the same', { name: 'test_twice', keys: ['a'], args: ['a'], lua }, 'a is used twice'],
    ['a name is reserved in Lua', { name: 'test_word', keys: ['end'], lua }, 'end cannot be a local'],
    ['a name is not a local', { name: 'test_local', keys: ['a-b'], lua }, 'a-b cannot be a local'],
    ['a list is not the last', { name: 'test_rest', keys: ['...a', 'b'], lua }, '...rest must be the last name'],
    ['another has its name', { name: 'test_append', keys: ['list'], lua }, 'another script has this name'],
  ])('if %s', (_, definition, message) => {
    expect(() => script(definition)).toThrow(`script ${definition.name}: ${message}`);
  });
});

/** As an element, a length or an argument; `KEYS` alone is also a heading of the command line. */
const COUNTED = /\bARGV\b|\bKEYS\s*\[|[#(]\s*KEYS\b/;

test('no script in src counts the positions of its keys and arguments', () => {
  const paths = globSync('src/**/*.ts', { cwd: ROOT.pathname });
  const counting = paths.filter((path) => COUNTED.test(readFileSync(new URL(path, ROOT), 'utf8')));
  expect(counting).toEqual(['src/runtime/lua-script.ts']);
});
