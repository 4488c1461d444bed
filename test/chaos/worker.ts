// A worker process of a chaos run, with the product's own deadlines. Sends its parent a message when it takes jobs. Settings
// come from the environment. Patches of the sources shorten the lock of a job, or break the build on purpose.
import { registerHooks } from 'node:module';
import { patchesOf, patched } from './patches.ts';

const patches = patchesOf(process.env['CHAOS_PATCHES'] ?? '');

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const own = patches.filter(({ file }) => url.endsWith(file));
    if (own.length === 0) return loaded;
    const source = Buffer.from(loaded.source as Uint8Array).toString();
    return { ...loaded, source: patched(source, own) };
  },
});

// Loaded after the hooks are registered.
const { startWorker } = await import('../../src/app/app.ts');
const { commandLineEnvironment, loadConfig } = await import('../../src/runtime/config.ts');
const { createLog } = await import('../../src/runtime/log.ts');

const starting = new AbortController();
let running: Promise<Awaited<ReturnType<typeof startWorker>>> | undefined;

async function stop(): Promise<void> {
  const worker = await running;
  const { isClean } = (await worker?.stop()) ?? { isClean: true };
  process.exit(isClean ? 0 : 1);
}

// Leaves no worker behind after the death of its parent.
process.on('disconnect', () => process.exit(3));
process.on('SIGTERM', () => {
  starting.abort(new Error('stopped during the start'));
  void stop().catch(() => process.exit(1));
});
try {
  const { CHAOS_PATCHES: _, ...rest } = process.env;
  const env = commandLineEnvironment(rest);
  const logger = createLog(loadConfig(undefined, env), 'worker');
  running = startWorker(undefined, { host: '127.0.0.1', env, logger, afterStall: () => 0, signal: starting.signal });
  await running;
  process.send?.('ready');
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(78);
}
