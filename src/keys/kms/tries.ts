// Every try of a call to KMS with a tenant's key, put on the audit log before its answer is used: AWS' own log has each as well.
// What a call is for is told by who sends it.
import type { KMSClient } from '@aws-sdk/client-kms';
import type { AuditLog, Who } from '../../audit-log.ts';
import { SealdexError } from '../../errors.ts';

/** On whose behalf a command is sent. */
export interface Sender {
  readonly tenant: string;
  readonly who: Who;
}

/** Of inputs of commands, what we put there. */
interface Input {
  readonly KeyId?: string | undefined;
  readonly SourceKeyId?: string | undefined;
  readonly EncryptionContext?: Readonly<Record<string, string>> | undefined;
  readonly SourceEncryptionContext?: Readonly<Record<string, string>> | undefined;
}

/** Returns how a command's sender is told, before it is sent. With a key that is not ours nothing is sent of an unknown one. */
export function auditTries(
  client: KMSClient,
  audit: AuditLog,
  ours: ReadonlySet<string>,
): (input: object, sender: Sender) => void {
  const senders = new WeakMap<object, Sender>();
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const sender = senders.get(args.input);
        const { KeyId, SourceKeyId, EncryptionContext, SourceEncryptionContext } = args.input as Input;
        const key = KeyId ?? SourceKeyId;
        if (key !== undefined && ours.has(key)) return next(args);
        if (!sender) throw new SealdexError('INTERNAL', undefined, { reason: 'Unaudited' });
        const { tenant, who } = sender;
        const context = EncryptionContext ?? SourceEncryptionContext;
        const contextTenant = context?.['tenant'] === tenant ? undefined : context?.['tenant'];
        const { period, purpose } = context ?? {};
        const operation = withoutCommand(commandName);
        const write = (result: string, requestId: string | undefined): void =>
          audit.write(who, { tenant, operation, key, contextTenant, period, purpose, result, requestId });
        try {
          const answered = await next(args);
          write('ok', answered.output?.$metadata.requestId);
          return answered;
        } catch (error) {
          const { name, $metadata } = error as { name?: string; $metadata?: { requestId?: string } };
          const requestId = $metadata?.requestId;
          write(requestId === undefined ? UNANSWERED : nameOf(name), requestId);
          throw error;
        }
      },
    // Innermost: inside the SDK's retrying, and not before the call has its turn.
    { step: 'deserialize', priority: 'high', name: 'audit' },
  );
  return (input, sender) => senders.set(input, sender);
}

/** `Decrypt` of a DecryptCommand. */
export const operationOf = (command: object): string => withoutCommand(command.constructor.name);

const withoutCommand = (name: string): string => name.replace(/Command$/, '');

/** The call may have reached KMS, or not. */
const UNANSWERED = 'unanswered';

/** A name may be a server's own text: one that is no name is not repeated. */
const nameOf = (name = ''): string => (/^[A-Za-z][A-Za-z0-9.]{0,60}$/.test(name) ? name : 'Error');
