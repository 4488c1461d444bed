// The KMS keys that the files of an export name, and which of them to believe: whoever may write to the bucket names any.
import type { TenantFile } from '../tenants/tenants.ts';

export interface ExportKeys {
  /** The tenant's own, as its file has them. */
  readonly ownArns: readonly string[];
  /** Ours, that served it while it had none. */
  readonly platformArns: readonly string[];
  /** Files under any other, or under none. */
  readonly unknownKeyFiles: number;
}

export interface NamedKeys {
  add(kmsKeyArn: string | undefined): void;
  /** With the tenant's file as it stands when all is there: its key may have been changed meanwhile. */
  keysOf(file: Pick<TenantFile, 'kmsKeyArn' | 'formerKeyArns'>, platformArns: ReadonlySet<string>): ExportKeys;
}

/** No tenant has had more. */
const MOST_ARNS = 10_000;

export function namedKeys(): NamedKeys {
  const files = new Map<string, number>();
  let others = 0;
  return {
    add(kmsKeyArn) {
      if (kmsKeyArn === undefined || (files.size >= MOST_ARNS && !files.has(kmsKeyArn))) others += 1;
      else files.set(kmsKeyArn, (files.get(kmsKeyArn) ?? 0) + 1);
    },
    keysOf({ kmsKeyArn, formerKeyArns }, platform) {
      const named = [...files.keys()].toSorted();
      const platformArns = named.filter((arn) => platform.has(arn));
      const ownArns = named.filter((arn) => !platform.has(arn) && (arn === kmsKeyArn || formerKeyArns.includes(arn)));
      const believed = new Set([...platformArns, ...ownArns]);
      const unknownKeyFiles = [...files].reduce((sum, [arn, count]) => sum + (believed.has(arn) ? 0 : count), others);
      return { ownArns, platformArns, unknownKeyFiles };
    },
  };
}
