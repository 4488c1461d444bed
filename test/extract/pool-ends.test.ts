import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../support/clock.ts';
import { realDeadlines } from '../support/deadlines.ts';
import { eventually } from '../support/eventually.ts';
import { childEntry, isAlive, openPool, processorMs, runHook } from './fixture.ts';

const MIB = 1_048_576;

/** Attached at once: the event may come while the test waits for something else. */
const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no failure',
    (error: unknown) => error,
  );

describe('the end of a child', () => {
  it('comes with its time limit, and the next file gets a fresh one', async () => {
    const clock = new FakeClock();
    await using pool = openPool({ clock, extractMs: 300 });
    const pid = (await runHook(pool, 'pid')) as number;
    let isOver = false;
    const looping = failureOf(runHook(pool, 'loop')).finally(() => (isOver = true));
    let used = processorMs(pid);
    // The clock advances with the CPU time of the child, so that the load of the machine does not matter.
    await eventually(() => {
      if (isOver) return true;
      const before = used;
      used = processorMs(pid);
      clock.advance(used - before);
      return isOver;
    });
    expect(await looping).toMatchObject({ code: 'FILE_TOO_COMPLEX', reason: 'time' });
    expect(isAlive(pid)).toBe(false);
    expect(await runHook(pool, 'pid')).not.toBe(pid);
    expect(pool.stats()).toMatchObject({ startedTotal: 2, killedTotal: 1 });
  });

  it('does not come while other processes use the CPU, and is not blamed on the file when it comes at last', async () => {
    using _real = realDeadlines({ extractorStartMs: 280_000 });
    const clock = new FakeClock();
    await using pool = openPool({ clock, extractMs: 30_000 });
    const pid = (await runHook(pool, 'pid')) as number;
    let isOver = false;
    const looping = failureOf(runHook(pool, 'loop')).finally(() => (isOver = true));
    await eventually(() => isBusy(pid));
    // 1.5 s of 30: it did not get the CPU.
    clock.advance(30_000);
    clock.advance(60_000);
    expect(isAlive(pid)).toBe(true);
    await eventually(() => {
      clock.advance(7500);
      return isOver;
    });
    expect(await looping).toMatchObject({ code: 'INTERNAL', reason: 'ExtractorDied' });
  });

  it('comes when it waits forever, regardless of its CPU time', async () => {
    const clock = new FakeClock();
    await using pool = openPool({ clock, extractMs: 30_000 });
    await runHook(pool, 'pid');
    let isOver = false;
    const waiting = failureOf(runHook(pool, 'wait')).finally(() => (isOver = true));
    await eventually(() => {
      clock.advance(7500);
      return isOver;
    });
    expect(await waiting).toMatchObject({ code: 'FILE_TOO_COMPLEX', reason: 'time' });
  });

  it('does not come with a signal to the group of its worker', async () => {
    const owner = spawn(process.execPath, [childEntry('owner')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    try {
      const [line] = (await once(owner.stdout, 'data')) as [Buffer];
      const pid = Number(line.toString());
      await eventually(() => isBusy(pid));
      process.kill(-owner.pid!, 'SIGTERM');
      const [output] = (await once(owner.stdout, 'data')) as [Buffer];
      expect(output.toString()).toBe('heard\n');
      const before = processorMs(pid);
      await eventually(() => processorMs(pid) > before + 200);
    } finally {
      owner.kill('SIGKILL');
    }
  });

  it('comes when it uses memory outside of its heap', async () => {
    await using pool = openPool();
    const pid = await runHook(pool, 'pid');
    await expect(runHook(pool, 'buffers')).rejects.toMatchObject({ code: 'FILE_TOO_COMPLEX', reason: 'memory' });
    expect(isAlive(pid)).toBe(false);
    expect(pool.stats().killedTotal).toBe(1);
  });

  it('comes when its heap is full', async () => {
    // Far below the external limit.
    await using pool = openPool({ heapBytes: 64 * MIB });
    await expect(runHook(pool, 'heap')).rejects.toMatchObject({ code: 'FILE_TOO_COMPLEX', reason: 'memory' });
    expect(pool.stats().killedTotal).toBe(0);
    expect(await runHook(pool, 'print')).toBe('printed');
  });

  it('caused from outside is not blamed on the file', async () => {
    await using pool = openPool();
    const pid = (await runHook(pool, 'pid')) as number;
    const looping = failureOf(runHook(pool, 'loop'));
    await eventually(() => isBusy(pid));
    process.kill(pid, 'SIGKILL');
    expect(await looping).toMatchObject({ code: 'INTERNAL', reason: 'ExtractorDied' });
    expect(await runHook(pool, 'print')).toBe('printed');
  });

  it('comes with an abort, which rejects with the reason of the signal', async () => {
    await using pool = openPool();
    const pid = (await runHook(pool, 'pid')) as number;
    const controller = new AbortController();
    const looping = failureOf(runHook(pool, 'loop', controller.signal));
    await eventually(() => isBusy(pid));
    controller.abort(new Error('changed our mind'));
    expect(await looping).toMatchObject({ message: 'changed our mind' });
    expect(isAlive(pid)).toBe(false);
    await expect(runHook(pool, 'pid', controller.signal)).rejects.toThrow('changed our mind');
    expect(pool.stats()).toMatchObject({ busy: 0, idle: 0, waiting: 0, startedTotal: 1 });
  });

  it('is not needed to abort a waiting call', async () => {
    await using pool = openPool();
    const controller = new AbortController();
    const first = new AbortController();
    const looping = failureOf(runHook(pool, 'loop', first.signal));
    const waiting = failureOf(runHook(pool, 'pid', controller.signal));
    await eventually(() => pool.stats().waiting === 1);
    controller.abort(new Error('second'));
    expect(await waiting).toMatchObject({ message: 'second' });
    expect(pool.stats()).toMatchObject({ busy: 1, waiting: 0 });
    first.abort(new Error('first'));
    expect(await looping).toMatchObject({ message: 'first' });
    expect(await runHook(pool, 'print')).toBe('printed');
  });

  it('comes with stop(), in any state and twice', async () => {
    const never = openPool();
    await never.stop();
    const stopped = { code: 'INTERNAL', reason: 'ExtractPoolStopped' };
    await expect(runHook(never, 'pid')).rejects.toMatchObject(stopped);

    const pool = openPool({ size: 2 });
    const pids = await Promise.all([runHook(pool, 'pid'), runHook(pool, 'pid')]);
    const looping = failureOf(runHook(pool, 'loop'));
    const starting = failureOf(runHook(pool, 'wait'));
    const waiting = failureOf(runHook(pool, 'pid'));
    await Promise.all([pool.stop(), pool.stop()]);
    expect(await Promise.all([looping, starting, waiting])).toMatchObject([stopped, stopped, stopped]);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(pool.stats()).toMatchObject({ busy: 0, idle: 0, waiting: 0 });
    await pool.stop();
  });

  it('comes with stop() during its start', async () => {
    const pool = openPool();
    const starting = failureOf(runHook(pool, 'pid'));
    await pool.stop();
    expect(await starting).toMatchObject({ reason: 'ExtractPoolStopped' });
    expect(pool.residentBytes()).toBe(0);
  });

  it('comes with the end of its worker, though it is busy', async () => {
    const owner = spawn(process.execPath, [childEntry('owner')], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = (await once(owner.stdout, 'data')) as [Buffer];
      const pid = Number(line.toString());
      await eventually(() => isBusy(pid));
      owner.kill('SIGKILL');
      expect(await eventually(() => !isAlive(pid))).toBe(true);
    } finally {
      owner.kill('SIGKILL');
    }
  });
});

describe('a worker without file descriptors', () => {
  it('tries the file again later, and continues', async () => {
    const command = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, childEntry('crowded')];
    const crowded = spawn('/bin/sh', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = await Array.fromAsync(crowded.stdout as AsyncIterable<Buffer>);
    expect(Buffer.concat(lines).toString()).toBe('INTERNAL ExtractorDied\n"printed"\n');
  });
});

describe('the sandbox of a child', () => {
  it('blocks everything: network, threads, processes, files', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      await using pool = openPool();
      const wall = 'Network access and threads are disabled in the extraction process.';
      const {
        process: another,
        write,
        read,
        ...walls
      } = (await runHook(pool, `reach ${(server.address() as AddressInfo).port}`)) as Record<string, string>;
      expect(new Set(Object.values(walls))).toEqual(new Set([wall]));
      expect(Object.keys(walls)).toHaveLength(7);
      expect([another, write, read]).toEqual(Array.from({ length: 3 }, () => 'ERR_ACCESS_DENIED'));
      expect(connections).toBe(0);
      expect(existsSync('/tmp/sealdex-hook')).toBe(false);
    } finally {
      server.close();
    }
  });
});

/** Whether it is in its loop: nothing else takes it so long. */
const isBusy = (pid: number): boolean => processorMs(pid) > 1500;
