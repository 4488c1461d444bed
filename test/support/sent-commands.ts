// The commands that a connection to Redis sends, with the values in their responses.
import type { Redis } from '../../src/runtime/redis.ts';

export interface SentCommand {
  readonly name: string;
  /** The response, flattened. */
  readonly values: readonly unknown[];
}

/** Reports each command of the connection from now on, once it has its response. Returns the connection. */
export function recordCommands(redis: Redis, onSent: (command: SentCommand) => void): Redis {
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, ...rest) => {
    const reply = send(command, ...rest);
    command.promise.then(
      (value) => onSent({ name: command.name, values: [value].flat(2) }),
      () => {},
    );
    return reply;
  };
  return redis;
}
