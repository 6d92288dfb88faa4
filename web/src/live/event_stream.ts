// One connection to a server-sent event stream, read with fetch so that the token stays out of the
// URL. Resolves when the server ends the stream, rejects with RequestFailure when it cannot be opened,
// breaks off, or stays silent: the server sends a comment every 15 seconds, so a longer silence means
// the connection is dead even though no error arrived.
import { RequestFailure, request, withDeadline } from './http.ts';
import { type SseEvent, SseOverflow, SseParser } from './sse_parser.ts';

export const silenceMaxMs = 40_000;

export interface StreamHandlers {
    onOpen(): void;
    onEvent(event: SseEvent): void;
    // Any bytes at all, heartbeats included.
    onActivity(): void;
}

export async function readEventStream(
    url: URL,
    token: string,
    lastEventId: string,
    handlers: StreamHandlers,
    signal: AbortSignal,
): Promise<void> {
    const headers = {
        accept: 'text/event-stream',
        ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }),
    };
    const response = await withDeadline(signal, (timely) => request(url, token, headers, timely));
    if (response.body === null) {
        throw new RequestFailure('refused', 'The server sent no event stream.');
    }
    handlers.onOpen();
    handlers.onActivity();
    await readBody(response.body, lastEventId, handlers, signal);
}

async function readBody(
    body: ReadableStream<Uint8Array>,
    lastEventId: string,
    handlers: StreamHandlers,
    signal: AbortSignal,
): Promise<void> {
    const reader = body.getReader();
    const parser = new SseParser({ onEvent: (event) => handlers.onEvent(event) }, lastEventId);
    const decoder = new TextDecoder();
    let wentSilent = false;
    let silence: ReturnType<typeof setTimeout> | undefined;
    const restartSilence = () => {
        clearTimeout(silence);
        silence = setTimeout(() => {
            wentSilent = true;
            void reader.cancel();
        }, silenceMaxMs);
    };
    try {
        restartSilence();
        for (;;) {
            const { done, value } = await reader.read();
            if (done) {
                break;
            }
            restartSilence();
            handlers.onActivity();
            parser.push(decoder.decode(value, { stream: true }));
        }
    } catch (error) {
        void reader.cancel().catch(() => undefined);
        if (signal.aborted || error instanceof SseOverflow) {
            throw error;
        }
        throw new RequestFailure('unreachable', 'The connection broke.');
    } finally {
        clearTimeout(silence);
    }
    if (wentSilent) {
        throw new RequestFailure('unreachable', 'The connection went silent.');
    }
}
