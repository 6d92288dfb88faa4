// Authenticated requests to the API of one page. The token travels in the Authorization header and
// nowhere else; every failure becomes one of the kinds the console can explain.

export type FailureKind = 'unauthorized' | 'rate_limited' | 'absent' | 'refused' | 'unreachable';

export class RequestFailure extends Error {
    override readonly name = 'RequestFailure';
    readonly kind: FailureKind;
    readonly retryAfterMs: number | null;

    constructor(kind: FailureKind, message: string, retryAfterMs: number | null = null) {
        super(message);
        this.kind = kind;
        this.retryAfterMs = retryAfterMs;
    }
}

// Retry-After in seconds or as a date (RFC 9110, section 10.2.3).
export function parseRetryAfter(value: string | null, nowMs: number): number | null {
    if (value === null) {
        return null;
    }
    if (/^\d+$/.test(value.trim())) {
        return Number(value) * 1000;
    }
    const date = Date.parse(value);
    return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

export function failureOf(response: Response, nowMs: number): RequestFailure {
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), nowMs);
    switch (response.status) {
        case 401:
        case 403:
            return new RequestFailure('unauthorized', 'The server did not accept the token.');
        case 404:
            return new RequestFailure('absent', 'There is no observer at this address.');
        case 429:
            return new RequestFailure(
                'rate_limited',
                'Too many failed attempts.',
                retryAfterMs ?? 60_000,
            );
        default:
            return new RequestFailure(
                'refused',
                `The server answered ${response.status}.`,
                retryAfterMs,
            );
    }
}

export async function request(
    url: URL,
    token: string,
    headers: Record<string, string>,
    signal: AbortSignal,
): Promise<Response> {
    let response: Response;
    try {
        response = await fetch(url, {
            headers: { ...headers, authorization: `Bearer ${token}` },
            cache: 'no-store',
            referrerPolicy: 'no-referrer',
            signal,
        });
    } catch (error) {
        if (signal.aborted) {
            throw error;
        }
        throw new RequestFailure('unreachable', 'The server does not answer.');
    }
    if (!response.ok) {
        void response.body?.cancel();
        throw failureOf(response, Date.now());
    }
    return response;
}

const answerDeadlineMs = 15_000;

// Work that must finish in time; what it is given is aborted otherwise. Aborting `signal` aborts it too.
export async function withDeadline<T>(
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), answerDeadlineMs);
    try {
        return await work(AbortSignal.any([signal, late.signal]));
    } catch (error) {
        if (late.signal.aborted && !signal.aborted) {
            throw new RequestFailure('unreachable', 'The server did not answer in time.');
        }
        throw error;
    } finally {
        clearTimeout(timer);
    }
}
