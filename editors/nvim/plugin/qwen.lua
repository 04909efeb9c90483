if vim.g.loaded_qwen then
  return
end
vim.g.loaded_qwen = true

if vim.fn.has('nvim-0.11') == 0 then
  vim.notify('qwen: Neovim 0.11 or newer is needed; this one is older', vim.log.levels.WARN)
  return
end

local group = vim.api.nvim_create_augroup('qwen', {})

vim.api.nvim_create_autocmd('LspAttach', {
  group = group,
  desc = 'qwen: ghost text in this buffer',
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == 'qwen' then
      require('qwen').attach(client, event.buf)
    end
  end,
})

vim.api.nvim_create_autocmd('InsertEnter', {
  group = group,
  once = true,
  desc = 'qwen: say it when the server is not installed',
  callback = function()
    local problem = require('qwen').problem()
    if problem then
      vim.notify('qwen: ' .. problem, vim.log.levels.WARN)
    end
  end,
})

vim.api.nvim_create_user_command('Qwen', function(call)
  require('qwen.command').run(call.fargs)
end, {
  nargs = '*',
  desc = 'qwen: status, pause, resume, toggle, snooze, why, fix, log, stats',
  complete = function(_, line)
    return require('qwen.command').complete(line)
  end,
})

local function start()
  require('qwen.keys').map()
  vim.lsp.enable('qwen')
end

-- A plugin manager that loads this late calls setup() right after it, before anything starts.
if vim.v.vim_did_enter == 1 then
  vim.schedule(start)
else
  start()
end
