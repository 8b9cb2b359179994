/**
 * ApiFailure
 * ├── Unreachable   the server gave no answer
 * └── Refused       it answered, and said no
 */
export class ApiFailure extends Error {}

export class Unreachable extends ApiFailure {
  constructor(cause?: unknown) {
    super("The server cannot be reached.", { cause });
  }
}

export class Refused extends ApiFailure {
  constructor(
    readonly status: number,
    message: string,
    readonly requestId: string | null,
  ) {
    super(message);
  }
}

export function isRefused(error: unknown, ...statuses: number[]): error is Refused {
  return error instanceof Refused && statuses.includes(error.status);
}
