--- Ghost text from Qwen-Coder. All of it works without `setup`; see |qwen|.
local M = {}

---@class qwen.Config
---@field keys table<string, string|false> Insert mode keys; false maps none.
---@field settings table The server's settings, by the names of its README without `qwen.`.
---@field ghost_text 'auto'|'own'|'off' Who shows ghost text: Neovim where it can, always this plugin, or nobody.
M.config = {
  keys = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-C-Right>',
    next = '<M-]>',
    previous = '<M-[>',
    dismiss = '<C-]>',
    trigger = '<M-\\>',
  },
  settings = {},
  ghost_text = 'auto',
}

---@type table<string, string|false> The keys a person has chosen, which replace whatever had them.
M.chosen = {}

---@param options? { keys?: table<string, string|false>, settings?: table, ghost_text?: 'auto'|'own'|'off' }
function M.setup(options)
  options = options or {}
  for name in pairs(options) do
    if M.config[name] == nil then
      error(("qwen: setup has no option '%s'; it has keys, settings and ghost_text"):format(name), 2)
    end
  end
  for name in pairs(options.keys or {}) do
    if M.config.keys[name] == nil then
      local names = table.concat(vim.fn.sort(vim.tbl_keys(M.config.keys)), ', ')
      error(("qwen: keys has no '%s'; it has %s"):format(name, names), 2)
    end
  end
  M.chosen = options.keys or {}
  M.config = vim.tbl_deep_extend('force', M.config, options)
  if next(M.config.settings) then
    vim.lsp.config('qwen', { init_options = M.config.settings })
  end
  if vim.g.loaded_qwen then
    require('qwen.keys').map()
  end
end

--- Who shows the ghost text: Neovim's own inline completion, or this plugin.
local function driver()
  local own = M.config.ghost_text == 'own' or not vim.lsp.inline_completion
  return require(own and 'qwen.ghost' or 'qwen.builtin')
end

--- Shows ghost text of a client in a buffer from now on.
---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  if M.config.ghost_text ~= 'off' then
    driver().attach(client, buf)
  end
end

--- Takes the ghost text. False when there is none.
---@return boolean
function M.accept()
  return driver().accept('all')
end

--- Takes the next word of the ghost text. False when there is none.
---@return boolean
function M.accept_word()
  return driver().accept('word')
end

--- Takes the next line of the ghost text. False when there is none.
---@return boolean
function M.accept_line()
  return driver().accept('line')
end

--- Shows another candidate. Where there is only one, asks for more.
---@param count integer
---@return boolean
local function cycle(count)
  local candidates = driver().count()
  if candidates == 1 then
    driver().trigger()
  elseif candidates > 1 then
    driver().select(count)
  end
  return candidates > 0
end

--- Shows the next candidate. False when there is no ghost text.
---@return boolean
function M.next()
  return cycle(1)
end

--- Shows the previous candidate. False when there is no ghost text.
---@return boolean
function M.previous()
  return cycle(-1)
end

--- Takes the ghost text away. False when there is none.
---@return boolean
function M.dismiss()
  return driver().dismiss()
end

--- Asks by hand, for several candidates, also where nothing is suggested while typing. False without a server.
---@return boolean
function M.trigger()
  return driver().trigger()
end

--- A few words for the statusline; empty where no server runs.
---@return string
function M.status()
  return require('qwen.status').line()
end

--- Why the server can't start; nil when it can.
---@return string?
function M.problem()
  local config = vim.lsp.config.qwen
  local command = config and config.cmd
  if type(command) == 'table' and vim.fn.executable(command[1]) == 0 then
    return ('%s is not installed or not on the PATH; `pip install` it, or name it by '):format(command[1])
      .. "vim.lsp.config('qwen', { cmd = { '/path/to/qwen-lsp', 'serve' } })"
  end
end

return M
