// A process that owns services until it is killed: prints where they are, as one line of JSON, and stays.
import { startRedis } from '../../src/dev/redis.ts';
import { startServices } from '../../src/dev/embedded.ts';

const [what, dir] = process.argv.slice(2);
if (what === 'services') {
  const { redis, settings } = await startServices(dir === undefined ? {} : { dir });
  console.log(JSON.stringify({ pid: redis.pid, url: redis.url, settings }));
} else {
  const { pid, url } = await startRedis();
  console.log(JSON.stringify({ pid, url }));
}
