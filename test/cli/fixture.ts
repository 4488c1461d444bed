// One installation shared by the commands of a test file: services, tenants, and an optional worker.
import { createOperator, startWorker, type Operator, type RunningWorker } from '../../src/app/app.ts';
import type { Settings } from '../../src/runtime/config.ts';
import { testServices, type TestServices } from '../support/services.ts';
import { type Ended } from './output.ts';
import { runInProcess, type InProcessOptions } from './in-process.ts';

export interface Scene extends AsyncDisposable {
  readonly settings: Settings;
  readonly services: TestServices;
  readonly operator: Operator;
  /** The ARN of the key of tenant acme; tenant globex is served by the platform key. */
  readonly keyArn: string;
  readonly startWorker: () => Promise<RunningWorker>;
  readonly sealdex: (args: readonly string[], options?: InProcessOptions) => Promise<Ended>;
}

export async function openScene(extra: Settings = {}): Promise<Scene> {
  await using opened = new AsyncDisposableStack();
  const services = opened.use(await testServices());
  const settings: Settings = { ...services.settings, SEALDEX_PORT: 0, ...extra };
  const operator = opened.use(await createOperator(settings));
  const keyArn = services.kms.createKey();
  await operator.putTenant('acme', { plan: 'pro', kmsKeyArn: keyArn });
  await operator.putTenant('globex', { plan: 'free' });
  const all = opened.move();
  return {
    settings,
    services,
    operator,
    keyArn,
    startWorker: async () => all.use(await startWorker(settings, { host: '127.0.0.1' })),
    sealdex: (args, options) => runInProcess(args, { settings, ...options }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

export const coreOf = (id: string, text = `Text of ${id}.`): string =>
  JSON.stringify({ type: 'core', id, document_parts: [{ text }] });

export const JOB = /^j[0-9a-f]{32}$/;
