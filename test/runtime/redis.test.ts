// Redis that rejects, hangs or responds with errors: always a typed error, never an endless wait.
import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { SealdexError } from '../../src/runtime/errors.ts';
import { redisFault, REDIS_REPLIES } from '../../src/runtime/redis-errors.ts';
import { runCommand, closeRedis, openRedis, redisKeys, type Redis } from '../../src/runtime/redis.ts';
import { startRedis } from '../../packages/local-aws/src/index.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';

const redisUrl = inject('redisUrl');
const name = `t-${randomBytes(6).toString('hex')}`;
let redis: Redis;

beforeAll(async () => {
  redis = await openRedis({ redisUrl }, 'prompt');
});
afterAll(async () => {
  await redis.del(name);
  closeRedis(redis);
  closeRedis(redis);
});

async function faultOf(call: Promise<unknown>): Promise<SealdexError> {
  const answer: unknown = await call.catch((error: unknown) => error);
  if (answer instanceof SealdexError) return answer;
  throw new Error(`Not a typed error: ${String(answer)}`);
}

/** A server that accepts connections, and never responds. */
async function silentServer(): Promise<{ url: string; open: () => number; accepted: () => number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open: () => sockets.size,
    accepted: () => accepted,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe('opening a fail-fast connection', () => {
  it('without a server is REDIS_FAILED', async () => {
    const gone = await silentServer();
    await gone[Symbol.asyncDispose]();
    expect((await faultOf(openRedis({ redisUrl: gone.url }, 'prompt'))).code).toBe('REDIS_FAILED');
  });

  it('to a server without a response is REDIS_FAILED, and leaves no connection or retry', async () => {
    using _real = realDeadlines();
    await using silent = await silentServer();
    await faultOf(openRedis({ redisUrl: silent.url }, 'prompt'));
    expect(await faultOf(openRedis({ redisUrl: silent.url }, 'prompt'))).toMatchObject({
      code: 'REDIS_FAILED',
      reason: 'TimeoutError',
    });
    await eventually(() => silent.open() === 0);
    expect(silent.accepted()).toBe(2);
  });

  it('with a wrong password is REDIS_FAILED, and quotes no password', async () => {
    const url = redisUrl.replace('redis://', 'redis://somebody:geheim@');
    const fault = await faultOf(openRedis({ redisUrl: url }, 'prompt'));
    expect(fault).toMatchObject({
      code: 'REDIS_FAILED',
      reason: 'WRONGPASS',
      message: 'Redis rejected the user name or the password. Correct them in REDIS_URL.',
    });
    expect(`${fault.message} ${fault.reason}`).not.toContain('geheim');
  });
});

describe('a database', () => {
  const withPath = (path: string): string => new URL(path, redisUrl).href;

  it.each(['prompt', 'patient', 'queue', 'subscriber'] as const)(
    'missing in Redis stops a connection of use %s with CONFIG_INVALID',
    async (use) => {
      expect(await faultOf(openRedis({ redisUrl: withPath('/99') }, use))).toMatchObject({
        code: 'CONFIG_INVALID',
        message:
          'REDIS_URL: Redis rejected database 99: ERR DB index is out of range. Use a database that the server has; a Redis Cluster has only 0.',
      });
    },
  );

  it('present in Redis is used', async () => {
    const other = await openRedis({ redisUrl: withPath('/1') }, 'prompt');
    expect(await other.client('INFO')).toContain(' db=1 ');
    closeRedis(other);
  });
});

describe('a server that', () => {
  it('requires a password is REDIS_FAILED with reason NOAUTH', async () => {
    await using opened = new AsyncDisposableStack();
    const server = opened.adopt(await startRedis(), (each) => each.stop());
    const admin = await openRedis({ redisUrl: server.url }, 'prompt');
    await admin.config('SET', 'requirepass', 'secret');
    closeRedis(admin);
    expect(await faultOf(openRedis({ redisUrl: server.url }, 'prompt'))).toMatchObject({ reason: 'NOAUTH' });
  });

  it('denies a command to the user is REDIS_FAILED with reason NOPERM', async () => {
    await using opened = new AsyncDisposableStack();
    const server = opened.adopt(await startRedis(), (each) => each.stop());
    const admin = await openRedis({ redisUrl: server.url }, 'prompt');
    await admin.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+@all', '-set');
    const url = server.url.replace('redis://', 'redis://reader:secret@');
    const user = await openRedis({ redisUrl: url }, 'prompt');
    expect(await faultOf(runCommand(user.set('a', 'b')))).toMatchObject({
      reason: 'NOPERM',
      message: 'The Redis user may not run a command or use a key. Extend the ACL of the user in REDIS_URL.',
    });
    closeRedis(user);
    closeRedis(admin);
  });

  it('is loading its data is REDIS_FAILED with reason LOADING', async () => {
    using _real = realDeadlines();
    const info = 'loading:1\r\nloading_eta_seconds:100\r\n';
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        for (const [command] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n\w+/g))
          socket.write(/info$/i.test(command) ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await faultOf(openRedis({ redisUrl: url }, 'prompt'))).toMatchObject({ reason: 'LOADING' });
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('a command', () => {
  it('rejected by Redis is REDIS_FAILED with the first word of the reply as reason', async () => {
    await redis.set(name, 'text');
    expect(await faultOf(runCommand(redis.lpush(name, 'x')))).toMatchObject({
      code: 'REDIS_FAILED',
      reason: 'WRONGTYPE',
    });
  });

  it('on a closed connection throws REDIS_FAILED', async () => {
    const closed = await openRedis({ redisUrl }, 'prompt');
    closeRedis(closed);
    expect(await faultOf(runCommand(closed.get(name)))).toMatchObject({ code: 'REDIS_FAILED', reason: 'Disconnected' });
  });

  it('without a response is REDIS_FAILED at the deadline of a fail-fast connection', async () => {
    using _real = realDeadlines();
    const blocked = await openRedis({ redisUrl }, 'prompt');
    expect((await faultOf(runCommand(blocked.blpop(`${name}:never`, 0)))).code).toBe('REDIS_FAILED');
    closeRedis(blocked);
  });

  it('with a response returns it', async () => {
    expect(await runCommand(redis.set(name, 'text'))).toBe('OK');
  });
});

describe('the name of a key', () => {
  it('is in the slot of its queue, regardless of its purpose', () => {
    const { installation, ...keys } = redisKeys('main');
    expect(installation).toBe('main');
    const names = [
      ...Object.values(keys).filter((value) => typeof value === 'string'),
      keys.dataKey('documents', 't', 'p', 'h'),
      keys.dataKeyClaim(keys.dataKey('documents', 't', 'p', 'h')),
      keys.marker('j1'),
      keys.note('j1'),
      keys.heartbeat('p1'),
    ];
    expect(names.every((key) => key === keys.prefix || key.startsWith('sealdex:{main}:'))).toBe(true);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('a mapped error', () => {
  it.each(Object.entries(REDIS_REPLIES))('has the sentence of the reply %s', (word, { description, remedy }) => {
    const reply = Object.assign(new Error(`${word} more words`), { name: 'ReplyError' });
    expect(redisFault(reply)).toMatchObject({ reason: word, message: `${description}. ${remedy}` });
  });

  it.each([
    'Connection is closed.',
    "Stream isn't writeable and enableOfflineQueue options is false",
    'Too many Cluster redirections. Last error: ReplyError: MOVED 1 127.0.0.1:1',
    'Reached the max retries per request limit (which is 1). Refer to "maxRetriesPerRequest" option for details.',
  ])('from the client (%s) has the reason Disconnected', (message) => {
    expect(redisFault(new Error(message)).reason).toBe('Disconnected');
  });

  it('is the same if typed, and has only the name of any other', () => {
    const typed = new SealdexError('CLOCK_SKEW');
    expect(redisFault(typed)).toBe(typed);
    const fault = redisFault(new TypeError('quotes content'));
    expect([fault.code, fault.reason]).toEqual(['REDIS_FAILED', 'TypeError']);
    expect(fault.message).not.toContain('quotes content');
    expect(redisFault('text').reason).toBe('string');
  });
});
