// The content of the log, and its repetition: never the message of a foreign error.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { atMostEvery, silentLog } from '../../src/runtime/log.ts';

const SECRET = 'Zebra9Quux';

const urlOf = (file: string): string => JSON.stringify(new URL(`../../src/runtime/${file}`, import.meta.url).href);

describe('the log', () => {
  it('is one line of JSON per event on standard output, from the given level on', async () => {
    const script = `
      const { createLog } = await import(${urlOf('log.ts')});
      const { faultOf } = await import(${urlOf('fault.ts')});
      const log = createLog({ logLevel: 'info' }, 'worker');
      log.debug({}, 'not said');
      log.warn({ job: 'j1', ...faultOf(new Error('${SECRET}')) }, 'job will be retried');`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toEqual([
      expect.objectContaining({
        level: 40,
        role: 'worker',
        job: 'j1',
        code: 'INTERNAL',
        cause: 'Error',
        msg: 'job will be retried',
      }),
    ]);
    expect(stdout).not.toContain(SECRET);
  });

  it('can be silent', () => {
    expect(() => silentLog.error({}, 'x')).not.toThrow();
  });
});

describe('a repeated message', () => {
  it('is logged once per interval and key', () => {
    let now = 0;
    const logged: string[] = [];
    const log = atMostEvery(() => now, 1000);
    for (now = 0; now < 2500; now += 100) for (const key of ['a', 'b']) log(key, () => logged.push(`${key} ${now}`));
    expect(logged).toEqual(['a 0', 'b 0', 'a 1000', 'b 1000', 'a 2000', 'b 2000']);
  });

  it('is remembered for a limited number of keys', () => {
    let logged = 0;
    const log = atMostEvery(() => 0, 1000);
    for (let n = 0; n < 1000; n++) log(`key ${n}`, () => (logged += 1));
    log('key 0', () => (logged += 1));
    expect(logged).toBe(1000);
    log('one more', () => (logged += 1));
    log('key 0', () => (logged += 1));
    expect(logged).toBe(1002);
  });
});
