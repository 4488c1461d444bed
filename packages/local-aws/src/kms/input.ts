// Request input: reads members of a request, and checks the constraints of the service model.
import type { Context } from './blob.ts';
import { constraint, KmsError } from './errors.ts';

export type Input = Readonly<Record<string, unknown>>;

const serialization = (member: string): KmsError =>
  new KmsError('SerializationException', `Unexpected type of value at ${member}`);

const camel = (member: string): string => member.charAt(0).toLowerCase() + member.slice(1);

export function keyIdOf(input: Input, member = 'KeyId'): string {
  const value = input[member];
  const where = camel(member);
  if (value === undefined || value === null) throw constraint(where, 'Member must not be null');
  if (typeof value !== 'string') throw serialization(member);
  if (value.length < 1 || value.length > 2048) {
    throw constraint(where, 'Member must have length between 1 and 2048, inclusive');
  }
  return value;
}

export function bytesOf(input: Input, member: string, most: number): Buffer {
  const value = input[member];
  const where = camel(member);
  if (value === undefined || value === null) throw constraint(where, 'Member must not be null');
  if (typeof value !== 'string') throw serialization(member);
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length < 1) throw constraint(where, 'Member must have length greater than or equal to 1');
  if (bytes.length > most) throw constraint(where, `Member must have length less than or equal to ${most}`);
  return bytes;
}

export function contextOf(input: Input, member = 'EncryptionContext'): Context {
  const value = input[member];
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw serialization(member);
  for (const text of Object.values(value)) if (typeof text !== 'string') throw serialization(member);
  return value as Context;
}

export function textOf(input: Input, member: string): string | undefined {
  const value = input[member];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw serialization(member);
  return value;
}

export function wholeOf(input: Input, member: string, low: number, high: number): number | undefined {
  const value = input[member];
  if (value === undefined || value === null) return undefined;
  if (!Number.isInteger(value)) throw serialization(member);
  if ((value as number) < low)
    throw constraint(camel(member), `Member must have value greater than or equal to ${low}`);
  if ((value as number) > high) throw constraint(camel(member), `Member must have value less than or equal to ${high}`);
  return value as number;
}
