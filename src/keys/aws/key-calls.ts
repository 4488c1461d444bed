// Adapter of the calls that examine a key: neither rate limited nor cached.
import { DescribeKeyCommand, EncryptCommand, ReEncryptCommand, type KeyMetadata } from '@aws-sdk/client-kms';
import type { AuditLog } from '../../runtime/audit-log.ts';
import { platformArns, type Config } from '../../runtime/config.ts';
import type { KeyRef } from '../../runtime/key-ref.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { regionOf } from '../../runtime/key-arn.ts';
import type { KeyCalls, KeyFacts } from '../kms.ts';
import { deadlineMs, openClient, orAbortAndZero } from './client.ts';
import { decryptCommand, generateDataKeyCommand, takePlaintext } from './commands.ts';
import { kmsFault } from './kms-error-mapping.ts';
import { auditTries, operationOf } from './tries.ts';

export function createKeyCalls(config: Config, audit: AuditLog, metrics?: Metrics): KeyCalls {
  const client = openClient(config, 'patient');
  const platformKeys = platformArns(config);
  const tries = auditTries(client, audit, platformKeys);

  async function call<T extends object>(
    key: KeyRef,
    signal: AbortSignal | undefined,
    command: { readonly input: object },
    send: (options: { abortSignal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const operation = operationOf(command);
    tries.register(command.input, { key, origin: await audit.origin() });
    signal?.throwIfAborted();
    const late = AbortSignal.timeout(deadlineMs('patient'));
    const abortSignal = signal ? AbortSignal.any([signal, late]) : late;
    const counted = (result: string): void => metrics?.count('sealdex_kms_calls_total', { operation, result });
    try {
      const answer = await orAbortAndZero(send({ abortSignal }), abortSignal);
      counted('ok');
      return answer;
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      const fault = kmsFault(error, { arn: key.keyArn, isPlatformKey: platformKeys.has(key.keyArn) });
      counted(fault.code);
      throw fault;
    }
  }

  return {
    async describe(key, signal) {
      const command = new DescribeKeyCommand({ KeyId: key.keyArn });
      const { KeyMetadata } = await call(key, signal, command, (options) => client.send(command, options));
      return factsOf(KeyMetadata);
    },
    async generateDataKey(key, context, signal) {
      const command = generateDataKeyCommand(key, context);
      const answer = await call(key, signal, command, (options) => client.send(command, options));
      return { plaintext: takePlaintext(answer, key), wrapped: Buffer.from(answer.CiphertextBlob ?? []) };
    },
    async decrypt(key, wrapped, context, signal) {
      const command = decryptCommand(key, wrapped, context);
      const answer = await call(key, signal, command, (options) => client.send(command, options));
      return takePlaintext(answer, key);
    },
    async encrypt(key, Plaintext, context, signal) {
      const command = new EncryptCommand({ KeyId: key.keyArn, Plaintext, EncryptionContext: context });
      const answer = await call(key, signal, command, (options) => client.send(command, options));
      return Buffer.from(answer.CiphertextBlob ?? []);
    },
    async reEncrypt(key, CiphertextBlob, context, signal) {
      const command = new ReEncryptCommand({
        CiphertextBlob,
        SourceKeyId: key.keyArn,
        DestinationKeyId: key.keyArn,
        SourceEncryptionContext: context,
        DestinationEncryptionContext: context,
      });
      const answer = await call(key, signal, command, (options) => client.send(command, options));
      return Buffer.from(answer.CiphertextBlob ?? []);
    },
    close: () => tries.close(),
  };
}

function factsOf(metadata: Partial<KeyMetadata> = {}): KeyFacts {
  const { KeySpec, KeyUsage, KeyState, Origin, ValidTo, DeletionDate } = metadata;
  const { PrimaryKey, ReplicaKeys = [] } = metadata.MultiRegionConfiguration ?? {};
  const copies = [PrimaryKey, ...ReplicaKeys].flatMap((copy) => (copy ? [copy] : []));
  const regions = copies.map(({ Region, Arn = '' }) => Region ?? regionOf(Arn));
  return {
    spec: KeySpec ?? 'unknown',
    usage: KeyUsage ?? 'unknown',
    state: KeyState ?? 'unknown',
    origin: Origin ?? 'unknown',
    ...(ValidTo === undefined ? {} : { expiresAt: ValidTo.getTime() }),
    ...(DeletionDate === undefined ? {} : { deletesAt: DeletionDate.getTime() }),
    ...(metadata.MultiRegion === true ? { regions } : {}),
  };
}
