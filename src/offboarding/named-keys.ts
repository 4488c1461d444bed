// KMS keys named by the files of an export. Only keys of the tenant and platform keys are trusted: a file can name any key.
import type { TenantFile } from '../tenants/tenants.ts';

export interface ExportKeys {
  /** Keys that the tenant has or had, by its file. */
  readonly ownArns: readonly string[];
  /** Platform keys, from the time before the tenant had its own. */
  readonly platformArns: readonly string[];
  /** Number of files under any other key, or under none. */
  readonly unknownKeyFiles: number;
}

export interface NamedKeys {
  add(kmsKeyArn: string | undefined): void;
  /** Call at the end, with the current tenant file: the key may have been changed during the export. */
  keysOf(file: Pick<TenantFile, 'kmsKeyArn' | 'formerKeyArns'>, platformArns: ReadonlySet<string>): ExportKeys;
}

/** More than any tenant has had. */
const MAX_ARNS = 10_000;

export function namedKeys(): NamedKeys {
  const files = new Map<string, number>();
  let others = 0;
  return {
    add(kmsKeyArn) {
      if (kmsKeyArn === undefined || (files.size >= MAX_ARNS && !files.has(kmsKeyArn))) others += 1;
      else files.set(kmsKeyArn, (files.get(kmsKeyArn) ?? 0) + 1);
    },
    keysOf({ kmsKeyArn, formerKeyArns }, platform) {
      const named = [...files.keys()].toSorted();
      const platformArns = named.filter((arn) => platform.has(arn));
      const ownArns = named.filter((arn) => !platform.has(arn) && (arn === kmsKeyArn || formerKeyArns.includes(arn)));
      const trusted = new Set([...platformArns, ...ownArns]);
      const unknownKeyFiles = [...files].reduce((sum, [arn, count]) => sum + (trusted.has(arn) ? 0 : count), others);
      return { ownArns, platformArns, unknownKeyFiles };
    },
  };
}
