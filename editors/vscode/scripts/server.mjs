// Puts the server's source beside the extension, so that what "Install the Server" installs is its own version.

import { cpSync, rmSync } from 'node:fs'

const ROOT = '../../'
rmSync('server', { recursive: true, force: true })
for (const name of ['pyproject.toml', 'README.md', 'LICENSE', 'qwen_lsp', 'editors/nvim', 'editors/emacs']) {
  cpSync(ROOT + name, `server/${name}`, { recursive: true, filter: (path) => !path.includes('__pycache__') })
}
cpSync(`${ROOT}LICENSE`, 'LICENSE')
