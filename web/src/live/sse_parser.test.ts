import { describe, expect, it } from 'vitest';
import { type SseEvent, SseOverflow, SseParser } from './sse_parser.ts';

function parse(chunks: readonly string[], lastEventId?: string) {
    const events: SseEvent[] = [];
    const comments: string[] = [];
    const retries: number[] = [];
    const parser = new SseParser(
        {
            onEvent: (event) => events.push(event),
            onComment: (text) => comments.push(text),
            onRetry: (milliseconds) => retries.push(milliseconds),
        },
        lastEventId,
    );
    for (const chunk of chunks) {
        parser.push(chunk);
    }
    return { events, comments, retries };
}

describe('SseParser', () => {
    it('reads an event with all its fields', () => {
        const { events } = parse(['id: 7\nevent: fetched\ndata: {"ts":1}\n\n']);
        expect(events).toEqual([{ id: '7', type: 'fetched', data: '{"ts":1}' }]);
    });

    it('gives the same events however the text is cut', () => {
        const text =
            '\uFEFF: hi\r\nid: 1\r\nevent: a\r\ndata: x\r\ndata: y\r\n\r\nid:2\ndata:z\n\n';
        const whole = parse([text]);
        expect(whole.events).toEqual([
            { id: '1', type: 'a', data: 'x\ny' },
            { id: '2', type: 'message', data: 'z' },
        ]);
        expect(parse([...text])).toEqual(whole);
        for (let at = 1; at < text.length; at += 1) {
            expect(parse([text.slice(0, at), text.slice(at)])).toEqual(whole);
        }
    });

    it('takes CR, LF and CRLF as line ends', () => {
        const { events } = parse(['data: 1\r\rdata: 2\n\ndata: 3\r\n\r\n']);
        expect(events.map((event) => event.data)).toEqual(['1', '2', '3']);
    });

    it('removes one leading space only', () => {
        expect(parse(['data:  two\n\n']).events[0]?.data).toBe(' two');
    });

    it('keeps the last id for events without one, and starts from the given one', () => {
        const { events } = parse(['data: a\n\nid: 9\ndata: b\n\ndata: c\n\n'], '4');
        expect(events.map((event) => event.id)).toEqual(['4', '9', '9']);
    });

    it('ignores an id with a NUL and unknown fields', () => {
        const { events } = parse(['id: 1\ndata: a\n\nid: 2\0\nfoo: bar\ndata: b\n\n']);
        expect(events.map((event) => event.id)).toEqual(['1', '1']);
    });

    it('sends no event for a block without data, but remembers its id', () => {
        const { events } = parse(['id: 5\nevent: x\n\ndata: a\n\n']);
        expect(events).toEqual([{ id: '5', type: 'message', data: 'a' }]);
    });

    it('sends an event whose data is empty', () => {
        expect(parse(['data\n\n']).events).toEqual([{ id: '', type: 'message', data: '' }]);
    });

    it('reports comments and digits-only retry values', () => {
        const { comments, retries } = parse([': heartbeat\n\nretry: 3000\nretry: 3s\n\n']);
        expect(comments).toEqual(['heartbeat']);
        expect(retries).toEqual([3000]);
    });

    it('does not dispatch an unfinished event', () => {
        expect(parse(['data: half\n']).events).toEqual([]);
    });

    it('refuses a line without end', () => {
        expect(() => parse(['data: ', 'x'.repeat(70_000)])).toThrow(SseOverflow);
    });

    it('refuses an event without end', () => {
        const line = `data: ${'x'.repeat(60_000)}\n`;
        expect(() => parse([line, line, line, line, line])).toThrow(SseOverflow);
    });
});
