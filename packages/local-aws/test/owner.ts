// A process that owns services until it is killed: prints where they are, as one line of JSON, and stays.
import { startRedis } from '../src/redis/redis.ts';
import { startLocalAws } from '../src/local-aws.ts';

const [what, dir] = process.argv.slice(2);
if (what === 'services') {
  const { redis } = await startLocalAws(dir === undefined ? {} : { dir });
  console.log(JSON.stringify({ pid: redis.pid, url: redis.url }));
} else {
  const { pid, url } = await startRedis();
  console.log(JSON.stringify({ pid, url }));
}
