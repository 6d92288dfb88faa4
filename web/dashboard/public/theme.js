// Applies the stored theme before the first paint (src/console/theme.ts keeps it).
try {
    const theme = localStorage.getItem('nave.theme');
    if (theme === 'light' || theme === 'dark') {
        document.documentElement.dataset.theme = theme;
    }
} catch {
    // Without storage the system's theme applies.
}
