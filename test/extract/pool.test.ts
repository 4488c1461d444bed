import { readFileSync } from 'node:fs';
import { constants, getPriority } from 'node:os';
import { describe, expect, it } from 'vitest';
import { CHILD_ENTRY, scheduling } from '../../src/extract/extractor.ts';
import { FakeClock } from '../support/clock.ts';
import { eventually } from '../support/eventually.ts';
import { childEntry, childrenOf, file, isAlive, openPool, PLACE, runHook } from './fixture.ts';

describe('the pool', () => {
  it('creates the record of a file in a child process', async () => {
    await using pool = openPool({ entry: CHILD_ENTRY });
    const place = { ...PLACE, metadata: { team: 'red' } };
    const { contentType, bytes } = await pool.extract(file('One. Two.'), place);
    const [head, ...parts] = bytes
      .toString()
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(contentType).toBe('text/plain');
    expect(head).toMatchObject({
      tenant: 'acme',
      id: 'a.txt',
      revision: 7,
      type: 'file',
      metadata: { team: 'red' },
      source: { filename: 'a.txt', contentType: 'text/plain', bytes: 9 },
      parts: 2,
    });
    expect(parts).toMatchObject([{ text: 'One. ' }, { text: 'Two.' }]);
  });

  it('gives the reason why a file cannot be read, from the closed list', async () => {
    await using pool = openPool();
    await expect(runHook(pool, 'refuse')).rejects.toMatchObject({ code: 'FILE_UNREADABLE', reason: 'pdf-encrypted' });
    await expect(runHook(pool, 'unsupported')).rejects.toMatchObject({ code: 'FILE_UNSUPPORTED', reason: 'image/png' });
    await expect(runHook(pool, 'throw')).rejects.toMatchObject({ code: 'INTERNAL', reason: 'ExtractorDied' });
    expect(pool.stats()).toMatchObject({ busy: 0, waiting: 0 });
  });

  it('treats an uncaught error of a library as a damaged file, and ignores an unhandled rejection', async () => {
    await using pool = openPool();
    await expect(runHook(pool, 'later')).rejects.toMatchObject({ code: 'FILE_UNREADABLE', reason: 'damaged' });
    expect(await runHook(pool, 'stray')).toBe('went on');
  });

  it('starts children with the configured priority', async () => {
    const { priority } = scheduling;
    scheduling.priority = constants.priority.PRIORITY_LOW;
    try {
      await using pool = openPool();
      expect(getPriority((await runHook(pool, 'pid')) as number)).toBe(constants.priority.PRIORITY_LOW);
    } finally {
      scheduling.priority = priority;
    }
  });

  it('does not blame a file for an error of the one before', async () => {
    await using pool = openPool();
    expect(await runHook(pool, 'afterwards')).toBe('answered');
    expect(await runHook(pool, 'slow')).toBe('slow');
    expect(pool.stats()).toMatchObject({ startedTotal: 2, killedTotal: 0 });
  });

  it('sends no further file to a child that rejected one', async () => {
    await using pool = openPool();
    const pid = await runHook(pool, 'pid');
    await expect(runHook(pool, 'refuse')).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    expect(isAlive(pid)).toBe(false);
  });

  it('keeps a child alive after SIGTERM to its process group', async () => {
    await using pool = openPool({ entry: CHILD_ENTRY });
    await pool.extract(file('One.'), PLACE);
    const [pid] = childrenOf(process.pid);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid!, signal);
    await pool.extract(file('Two.'), PLACE);
    expect(pool.stats()).toMatchObject({ startedTotal: 1 });
  });

  it('keeps a child warm, and stops it after a long idle time', async () => {
    const clock = new FakeClock();
    await using pool = openPool({ clock, idleMs: 60_000 });
    const pid = await runHook(pool, 'pid');
    expect(await runHook(pool, 'pid')).toBe(pid);
    expect(pool.stats()).toMatchObject({ busy: 0, idle: 1, startedTotal: 1 });
    clock.advance(60_001);
    await eventually(() => !isAlive(pid));
    expect(await runHook(pool, 'pid')).not.toBe(pid);
  });

  it('replaces a child after a number of files', async () => {
    await using pool = openPool({ filesPerChild: 2 });
    const pids = [await runHook(pool, 'pid'), await runHook(pool, 'pid'), await runHook(pool, 'pid')];
    expect(pids[1]).toBe(pids[0]);
    expect(pids[2]).not.toBe(pids[0]);
    expect(isAlive(pids[0])).toBe(false);
  });

  it('has no more children than its size, and queues other files', async () => {
    await using pool = openPool({ size: 2 });
    const pids = await Promise.all(Array.from({ length: 6 }, () => runHook(pool, 'pid')));
    expect(new Set(pids).size).toBe(2);
    expect(pool.stats()).toMatchObject({ busy: 0, idle: 2, waiting: 0, startedTotal: 2 });
  });

  it('continues with a fresh child when a warm one was killed while idle', async () => {
    await using pool = openPool();
    const pid = (await runHook(pool, 'pid')) as number;
    process.kill(pid, 'SIGKILL');
    expect(await runHook(pool, 'pid')).not.toBe(pid);
  });

  it('ignores the output of a library', async () => {
    await using pool = openPool();
    expect(await runHook(pool, 'print')).toBe('printed');
    expect(await runHook(pool, 'print')).toBe('printed');
  });

  it('treats an invalid response as a crash', async () => {
    await using pool = openPool({ entry: childEntry('garbage') });
    await expect(runHook(pool, 'pid')).rejects.toMatchObject({ code: 'INTERNAL', reason: 'ExtractorDied' });
  });

  it.each([
    [{ is: 'refused', reason: 'secret words' }, 'INTERNAL', 'ExtractorDied'],
    [{ is: 'refused', reason: '__proto__' }, 'INTERNAL', 'ExtractorDied'],
    [{ is: 'record', contentType: 'secret words' }, 'INTERNAL', 'ExtractorDied'],
    [{ is: 'unsupported', found: 'secret words' }, 'FILE_UNSUPPORTED', 'unknown'],
    [[], 'INTERNAL', 'ExtractorDied'],
  ])('repeats no text from an extractor: %j', async (response, code, reason) => {
    await using pool = openPool({ entry: childEntry('liar') });
    const failure = pool.extract(file(`#${JSON.stringify(response)}`), PLACE);
    await expect(failure).rejects.toMatchObject({ code, reason, message: expect.not.stringContaining('secret') });
  });

  it('passes no credentials and no settings to a child', async () => {
    process.env['AWS_SECRET_ACCESS_KEY'] = 'not-for-children';
    await using pool = openPool();
    const environment = (await runHook(pool, 'environment')) as { env: Record<string, string>; cwd: string };
    delete process.env['AWS_SECRET_ACCESS_KEY'];
    expect(environment.cwd).toBe('/');
    expect(new Set(Object.keys(environment.env))).toEqual(
      new Set(['TZ', 'PWD'].filter((name) => name in environment.env)),
    );
    expect(environment.env['TZ']).toBe('UTC');
  });

  it('disables core files, which would write content to the disk', async () => {
    await using pool = openPool();
    const pid = (await runHook(pool, 'pid')) as number;
    expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m);
  });
});
