// The frame around every page: skip link, navigation, connection state, theme, and either the page or
// the prompt for its token.
import { useEffect, useRef, useState } from 'preact/hooks';
import { freshness } from '../live/freshness.ts';
import { IconLock, Mark } from '../ui/icons.tsx';
import { Announcer, announce } from './announcer.tsx';
import { useNow } from './clock.ts';
import { ConnectionBanner, ConnectionPill } from './connection.tsx';
import type { OpenPage, PageDefinition } from './page.ts';
import { pages } from './pages.ts';
import { currentPage } from './router.ts';
import { useStore } from './store.ts';
import { ThemeSwitch } from './theme_switch.tsx';
import { TokenPrompt } from './token_prompt.tsx';
import { forgetToken, loadToken, saveToken } from './token_store.ts';

const rejected =
    'The server no longer accepts this token; it was forgotten. It may have been changed: enter the current one.';

export function Shell() {
    const page = useStore(currentPage);
    const [token, setToken] = useState(() => loadToken(page.id));
    const [notice, setNotice] = useState<string | null>(null);
    const [open, setOpen] = useState<OpenPage | null>(null);
    const main = useRef<HTMLElement>(null);

    useEffect(() => {
        setToken(loadToken(page.id));
        setNotice(null);
        document.title = `${page.title} · Nave`;
    }, [page]);

    useEffect(() => {
        if (token === null) {
            setOpen(null);
            return undefined;
        }
        const opened = page.open(token, {
            onUnauthorized: () => {
                forgetToken(page.id);
                setNotice(rejected);
                setToken(null);
            },
        });
        setOpen(opened);
        return () => opened.close();
    }, [page, token]);

    const lock = () => {
        forgetToken(page.id);
        setNotice(null);
        setToken(null);
        announce('The token was forgotten.');
    };

    return (
        <>
            <a class="skip-link" href="#main">
                Skip to content
            </a>
            <Announcer />
            <header class="topbar">
                <div class="topbar-inner">
                    <span class="brand">
                        <Mark />
                        <span class="brand-name">Nave</span>
                    </span>
                    <Navigation current={page} />
                    <div class="topbar-tools">
                        {open && <LiveState open={open} />}
                        <ThemeSwitch />
                        {open && (
                            <button
                                type="button"
                                class="icon-button"
                                onClick={lock}
                                aria-label="Forget the token"
                                title="Forget the token and lock this page"
                            >
                                <IconLock />
                            </button>
                        )}
                    </div>
                </div>
            </header>
            {open && <Banner open={open} />}
            <main id="main" tabIndex={-1} ref={main}>
                {token === null ? (
                    <TokenPrompt
                        key={page.id}
                        page={page}
                        notice={notice}
                        onToken={(accepted) => {
                            saveToken(page.id, accepted);
                            setNotice(null);
                            setToken(accepted);
                            // The field that had the focus goes away; what follows starts here.
                            main.current?.focus();
                        }}
                    />
                ) : (
                    open && <open.Content />
                )}
            </main>
        </>
    );
}

function Navigation({ current }: { current: PageDefinition }) {
    return (
        <nav class="topbar-nav" aria-label="Services">
            <ul>
                {pages.map((page) => (
                    <li key={page.id}>
                        <a
                            href={`#/${page.id}`}
                            aria-current={page === current ? 'page' : undefined}
                        >
                            {page.title}
                        </a>
                    </li>
                ))}
            </ul>
        </nav>
    );
}

function LiveState({ open }: { open: OpenPage }) {
    const report = freshness(useStore(open.status), useNow());
    const previous = useRef(report.level);
    useEffect(() => {
        const before = previous.current;
        previous.current = report.level;
        if (report.level === 'stale' && before !== 'stale') {
            announce('The figures are no longer live.');
        } else if (report.level === 'live' && before === 'stale') {
            announce('Live again.');
        }
    }, [report.level]);
    return <ConnectionPill report={report} />;
}

function Banner({ open }: { open: OpenPage }) {
    const status = useStore(open.status);
    const report = freshness(status, useNow());
    if (report.banner === null) {
        return null;
    }
    return (
        <ConnectionBanner
            text={report.banner}
            {...(status.phase === 'waiting' ? { onRetry: () => open.retryNow() } : {})}
        />
    );
}
