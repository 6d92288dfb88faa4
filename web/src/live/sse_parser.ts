// Incremental parser for server-sent events (WHATWG HTML, section 9.2.6). Text goes in as it arrives,
// in pieces cut anywhere; complete events and comments come out. A line or an event beyond its limit
// throws SseOverflow: the reader then closes the stream rather than growing without bound.

export interface SseEvent {
    // The last id seen on the stream, which an event without an id of its own inherits.
    readonly id: string;
    readonly type: string;
    readonly data: string;
}

export interface SseHandlers {
    onEvent(event: SseEvent): void;
    onComment?(text: string): void;
    onRetry?(milliseconds: number): void;
}

export class SseOverflow extends Error {
    override readonly name = 'SseOverflow';
}

const lineCharsMax = 64 * 1024;
const dataCharsMax = 256 * 1024;

export class SseParser {
    private readonly handlers: SseHandlers;
    private buffer = '';
    private atStart = true;
    private lastEventId: string;
    private type = '';
    private data: string[] = [];
    private dataChars = 0;

    constructor(handlers: SseHandlers, lastEventId = '') {
        this.handlers = handlers;
        this.lastEventId = lastEventId;
    }

    push(text: string): void {
        this.buffer += text;
        if (this.atStart && this.buffer.length > 0) {
            this.atStart = false;
            if (this.buffer.startsWith('\uFEFF')) {
                this.buffer = this.buffer.slice(1);
            }
        }
        let start = 0;
        for (;;) {
            const end = this.lineEnd(start);
            if (end === null) {
                break;
            }
            const line = this.buffer.slice(start, end.at);
            start = end.next;
            this.takeLine(line);
        }
        this.buffer = this.buffer.slice(start);
        if (this.buffer.length > lineCharsMax) {
            throw new SseOverflow(`a line is longer than ${lineCharsMax} characters`);
        }
    }

    // A CR at the very end of the buffer may be the first half of CRLF, so it waits for more text.
    private lineEnd(from: number): { at: number; next: number } | null {
        for (let index = from; index < this.buffer.length; index++) {
            const char = this.buffer[index];
            if (char === '\n') {
                return { at: index, next: index + 1 };
            }
            if (char === '\r') {
                if (index + 1 === this.buffer.length) {
                    return null;
                }
                return { at: index, next: this.buffer[index + 1] === '\n' ? index + 2 : index + 1 };
            }
        }
        return null;
    }

    private takeLine(line: string): void {
        if (line === '') {
            this.dispatch();
            return;
        }
        const colon = line.indexOf(':');
        if (colon === 0) {
            this.handlers.onComment?.(line.slice(1).trimStart());
            return;
        }
        const field = colon === -1 ? line : line.slice(0, colon);
        const raw = colon === -1 ? '' : line.slice(colon + 1);
        this.takeField(field, raw.startsWith(' ') ? raw.slice(1) : raw);
    }

    private takeField(field: string, value: string): void {
        if (field === 'event') {
            this.type = value;
        } else if (field === 'data') {
            this.dataChars += value.length + 1;
            if (this.dataChars > dataCharsMax) {
                throw new SseOverflow(`an event is longer than ${dataCharsMax} characters`);
            }
            this.data.push(value);
        } else if (field === 'id' && !value.includes('\0')) {
            this.lastEventId = value;
        } else if (field === 'retry' && /^\d+$/.test(value)) {
            this.handlers.onRetry?.(Number(value));
        }
    }

    private dispatch(): void {
        const event = {
            id: this.lastEventId,
            type: this.type === '' ? 'message' : this.type,
            data: this.data.join('\n'),
        };
        const isEmpty = this.data.length === 0;
        this.type = '';
        this.data = [];
        this.dataChars = 0;
        if (!isEmpty) {
            this.handlers.onEvent(event);
        }
    }
}
