import { afterEach, describe, expect, it, vi } from 'vitest';
import { failureOf, parseRetryAfter, request, withDeadline } from './http.ts';

afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
});

describe('parseRetryAfter', () => {
    it('reads seconds and dates', () => {
        expect(parseRetryAfter('42', 0)).toBe(42_000);
        expect(parseRetryAfter('Thu, 01 Jan 1970 00:01:00 GMT', 20_000)).toBe(40_000);
    });

    it('never gives a negative wait, and null for nonsense', () => {
        expect(parseRetryAfter('Thu, 01 Jan 1970 00:00:01 GMT', 20_000)).toBe(0);
        expect(parseRetryAfter('soon', 0)).toBeNull();
        expect(parseRetryAfter(null, 0)).toBeNull();
    });
});

describe('failureOf', () => {
    it('names what the console can explain', () => {
        const kinds = [401, 403, 404, 429, 500, 503].map(
            (status) => failureOf(new Response(null, { status }), 0).kind,
        );
        expect(kinds).toEqual([
            'unauthorized',
            'unauthorized',
            'absent',
            'rate_limited',
            'refused',
            'refused',
        ]);
    });

    it('waits a minute after 429 when the server does not say how long', () => {
        expect(failureOf(new Response(null, { status: 429 }), 0).retryAfterMs).toBe(60_000);
    });
});

describe('request', () => {
    it('sends the token in the header and never in the URL', async () => {
        const fetched = vi.fn(async (_url: URL, _init: RequestInit) => new Response('{}'));
        vi.stubGlobal('fetch', fetched);
        const signal = new AbortController().signal;
        await request(new URL('https://host/api/state'), 's3cret', { accept: 'x' }, signal);
        const [url, init] = fetched.mock.calls[0] ?? [];
        expect(String(url)).toBe('https://host/api/state');
        expect(init?.headers).toEqual({ accept: 'x', authorization: 'Bearer s3cret' });
    });

    it('says unreachable when there is no answer', async () => {
        vi.stubGlobal('fetch', () => Promise.reject(new TypeError('Failed to fetch')));
        const signal = new AbortController().signal;
        await expect(request(new URL('https://host/'), 't', {}, signal)).rejects.toMatchObject({
            kind: 'unreachable',
        });
    });
});

describe('withDeadline', () => {
    const never = (signal: AbortSignal) =>
        new Promise<void>((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')));
        });

    it('turns a late answer into a failure', async () => {
        vi.useFakeTimers();
        const outcome = expect(
            withDeadline(new AbortController().signal, never),
        ).rejects.toMatchObject({ kind: 'unreachable' });
        await vi.advanceTimersByTimeAsync(15_000);
        await outcome;
    });

    it('passes on an abort of the caller as it is', async () => {
        const caller = new AbortController();
        const outcome = withDeadline(caller.signal, never);
        caller.abort();
        await expect(outcome).rejects.toThrow('aborted');
    });
});
