--- The server as Neovim starts it. Change it with `vim.lsp.config('qwen', { … })`.
---@type vim.lsp.Config
return {
  cmd = { 'qwen-lsp', 'serve' },
  root_markers = { '.git' },
  capabilities = {
    -- Neovim 0.11 has no inline completion of its own; there this plugin has.
    textDocument = { inlineCompletion = { dynamicRegistration = false } },
    experimental = { qwenStatus = true },
  },
  handlers = {
    ['qwen/status'] = function(_, status, ctx)
      require('qwen.status').heard(ctx.client_id, status)
    end,
  },
}
