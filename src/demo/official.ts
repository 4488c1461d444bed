// The official decrypt: AWS's own Encryption SDK opens an object with the tenant's KMS key.
import type * as EncryptionSdk from '@aws-crypto/client-node';
import type { KmsServer } from '@sealdex/local-aws';

/**
 * Decrypts one message. Returns undefined if @aws-crypto/client-node is not installed.
 * @throws the errors of the SDK, for instance for another key or changed bytes
 */
export async function decryptOfficially(
  message: Buffer,
  keyArn: string,
  { endpoint, region }: Pick<KmsServer, 'endpoint' | 'region'>,
  load: () => Promise<typeof EncryptionSdk> = () => import('@aws-crypto/client-node'),
): Promise<{ plaintext: Buffer; context: Readonly<Record<string, string>> } | undefined> {
  const sdk = await load().catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  });
  if (sdk === undefined) return undefined;
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
  const kms = new sdk.KMS({ endpoint, region, credentials, maxAttempts: 5 });
  try {
    const commitmentPolicy = sdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT;
    const { decrypt } = sdk.buildClient({ commitmentPolicy, maxEncryptedDataKeys: 1 });
    // Its own class fits its own type, but for optional fields.
    const clientProvider = (() => kms) as never;
    const keyring = new sdk.KmsKeyringNode({ clientProvider, keyIds: [keyArn] });
    const { plaintext, messageHeader } = await decrypt(keyring, message);
    return { plaintext, context: { ...messageHeader.encryptionContext } };
  } finally {
    kms.destroy();
  }
}
