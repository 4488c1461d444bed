// AWS adapters: opened immediately or with the first call, so that a command without AWS calls does not load the SDK.
import type { Identity } from '../keys/aws/caller-identity.ts';
import type { AuditLog } from '../runtime/audit-log.ts';
import type { WaitMode } from '../runtime/clock.ts';
import type { Config } from '../runtime/config.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { KeyCalls, Kms } from '../keys/kms.ts';
import type { Store } from '../store/store.ts';

export interface AwsAdapters {
  createStore(config: Config, use: WaitMode): Store;
  createKms(config: Config, metrics: Metrics, audit: AuditLog, use: WaitMode): Kms;
  createKeyCalls(config: Config, audit: AuditLog, metrics: Metrics): KeyCalls;
  createIdentity(config: Config): Identity;
}

/** The adapters with the SDK. */
export async function loadAws(): Promise<AwsAdapters> {
  const [{ createStore }, { createKms }, { createKeyCalls }, { createIdentity }] = await Promise.all([
    import('../store/s3/s3-store.ts'),
    import('../keys/aws/kms-client.ts'),
    import('../keys/aws/key-calls.ts'),
    import('../keys/aws/caller-identity.ts'),
  ]);
  return { createStore, createKms, createKeyCalls, createIdentity };
}

/** The adapters that load their part of the SDK with their first call. */
export const AWS_ON_FIRST_CALL: AwsAdapters = {
  createStore: (config, use) =>
    onFirstCall(
      {
        put: true,
        tryPut: true,
        get: true,
        head: true,
        remove: true,
        list: true,
        listFolders: true,
        listVersions: true,
        removeVersion: true,
        listUploads: true,
        abortUpload: true,
      },
      async () => (await import('../store/s3/s3-store.ts')).createStore(config, use),
    ),
  createKms: (config, metrics, audit, use) =>
    onFirstCall({ generateDataKey: true, decrypt: true }, async () =>
      (await import('../keys/aws/kms-client.ts')).createKms(config, metrics, audit, use),
    ),
  createKeyCalls: (config, audit, metrics) =>
    onFirstCall({ describe: true, generateDataKey: true, decrypt: true, encrypt: true, reEncrypt: true }, async () =>
      (await import('../keys/aws/key-calls.ts')).createKeyCalls(config, audit, metrics),
    ),
  createIdentity: (config) =>
    onFirstCall({ arn: true }, async () => (await import('../keys/aws/caller-identity.ts')).createIdentity(config)),
};

interface Adapter {
  close(): void;
}

/** Every method but `close`. All return promises. */
type Calls<Port> = Record<Exclude<keyof Port, 'close'>, true>;

function onFirstCall<Port extends Adapter>(calls: Calls<Port>, open: () => Promise<Port>): Port {
  let opening: Promise<Port> | undefined;
  let isClosed = false;
  const opened = (): Promise<Port> =>
    (opening ??= open().then((port) => {
      if (isClosed) port.close();
      return port;
    }));
  const methods = Object.keys(calls).map((name) => [
    name,
    async (...args: readonly unknown[]): Promise<unknown> => {
      const port = (await opened()) as unknown as Record<string, (...rest: readonly unknown[]) => unknown>;
      return port[name]!(...args);
    },
  ]);
  const close = (): void => {
    isClosed = true;
    opening?.then(
      (port) => port.close(),
      // The call that failed has the error.
      () => {},
    );
  };
  return { ...Object.fromEntries(methods), close } as Port;
}
