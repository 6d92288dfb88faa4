// Asks for the operator token of a page and checks it before the page opens. Says plainly why a token
// was refused, and counts down when the server wants a pause after too many failures.
import type { TargetedEvent } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { RequestFailure } from '../live/http.ts';
import { Mark } from '../ui/icons.tsx';
import { useNow } from './clock.ts';
import type { PageDefinition } from './page.ts';

interface Props {
    page: PageDefinition;
    notice: string | null;
    onToken(token: string): void;
}

interface Refusal {
    text: string;
    // Local time before which another attempt makes no sense.
    until: number | null;
}

export function TokenPrompt({ page, notice, onToken }: Props) {
    const [value, setValue] = useState('');
    const [shown, setShown] = useState(false);
    const [busy, setBusy] = useState(false);
    const [refusal, setRefusal] = useState<Refusal | null>(null);
    const input = useRef<HTMLInputElement>(null);
    const waitSeconds = useWait(refusal?.until ?? null);

    useLayoutEffect(() => input.current?.focus(), []);

    const submit = async (event: TargetedEvent<HTMLFormElement, Event>) => {
        event.preventDefault();
        const token = value.trim();
        if (busy || waitSeconds > 0) {
            return;
        }
        if (token === '') {
            setRefusal({ text: 'Enter the token first.', until: null });
            input.current?.focus();
            return;
        }
        setBusy(true);
        try {
            await page.checkToken(token);
            onToken(token);
        } catch (error) {
            setRefusal(explain(error, page));
            setBusy(false);
            input.current?.select();
            input.current?.focus();
        }
    };

    const problem = refusal?.text ?? notice;
    return (
        <section class="prompt" aria-labelledby="prompt-title">
            <form class="prompt-card" onSubmit={submit} noValidate>
                <Mark size={44} />
                <h1 id="prompt-title">{page.title}</h1>
                <p class="prompt-lead">
                    Enter the token of {page.subject}. It is the value of{' '}
                    <code>{page.tokenSetting}</code> on the server.
                </p>
                {problem !== null && (
                    <p class="prompt-problem" role="alert" id="prompt-problem">
                        {problem}
                        {waitSeconds > 0 && ` Wait ${waitSeconds} s.`}
                    </p>
                )}
                <label class="field-label" for="token">
                    Observer token
                </label>
                <div class="field-row">
                    <input
                        ref={input}
                        id="token"
                        class="field"
                        {...(shown ? ({ type: 'text' } as const) : ({ type: 'password' } as const))}
                        value={value}
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck={false}
                        aria-invalid={refusal !== null}
                        aria-describedby={
                            problem === null ? 'prompt-note' : 'prompt-problem prompt-note'
                        }
                        onInput={(event) => setValue(event.currentTarget.value)}
                    />
                    <button
                        type="button"
                        class="button"
                        aria-pressed={shown}
                        aria-label="Show the token"
                        onClick={() => setShown(!shown)}
                    >
                        {shown ? 'Hide' : 'Show'}
                    </button>
                </div>
                <button type="submit" class="button button-primary" disabled={waitSeconds > 0}>
                    {busy ? 'Checking…' : 'Open'}
                </button>
                <p class="prompt-note" id="prompt-note">
                    It stays in this browser tab until you close it, and goes to{' '}
                    <strong>{location.host}</strong> only.
                    {!isSecureContext && (
                        <strong class="prompt-insecure">
                            {' '}
                            This page was not loaded over HTTPS: anyone on the way can read what you
                            enter.
                        </strong>
                    )}
                </p>
            </form>
        </section>
    );
}

function useWait(until: number | null): number {
    const now = useNow();
    return until === null ? 0 : Math.max(0, Math.ceil((until - now) / 1000));
}

function explain(error: unknown, page: PageDefinition): Refusal {
    if (!(error instanceof RequestFailure)) {
        return { text: error instanceof Error ? error.message : String(error), until: null };
    }
    switch (error.kind) {
        case 'unauthorized':
            return {
                text: 'The server does not accept this token. Check it and try again.',
                until: null,
            };
        case 'rate_limited':
            return {
                text: 'Too many wrong tokens came from this address.',
                until: Date.now() + (error.retryAfterMs ?? 60_000),
            };
        case 'absent':
            return {
                text: `The observer is not enabled on this server: set ${page.tokenSetting} and restart it.`,
                until: null,
            };
        default:
            return { text: `${error.message} Try again in a moment.`, until: null };
    }
}
